// A typical Express implementation of `GET /api/v1/users/:id`, with one process per core. It reads the same table with the
// same query and checks the same token as the server that it is compared with.

import cluster from 'node:cluster';
import { createPublicKey } from 'node:crypto';
import { availableParallelism } from 'node:os';

import express from 'express';
import jwt from 'jsonwebtoken';
import pg from 'pg';

const DATABASE_CONNECTIONS = 10;

if (cluster.isPrimary) {
  for (let worker = 0; worker < availableParallelism(); worker++) cluster.fork();
} else {
  const key = createPublicKey({ key: JSON.parse(process.env.YARDSTICK), format: 'jwk' });
  const pool = new pg.Pool({
    connectionString: process.env.DATABASE_URL,
    max: DATABASE_CONNECTIONS / availableParallelism(),
  });
  const app = express();

  app.get('/healthz', (request, response) => response.end());

  app.get('/api/v1/users/:id', async (request, response) => {
    let claims;
    try {
      const token = request.get('authorization')?.replace(/^Bearer /, '');
      claims = jwt.verify(token, key, { algorithms: ['RS256'], audience: 'switchyard', issuer: 'switchyard' });
    } catch {
      return response.sendStatus(401);
    }
    if (claims.sub !== request.params.id) return response.sendStatus(404);
    // A named query is prepared once for each connection.
    const text = 'SELECT version, doc, expires_at FROM users WHERE id = $1';
    const { rows } = await pool.query({ name: 'user', text, values: [request.params.id] });
    return response.json(rows[0].doc);
  });

  app.listen(Number(process.env.PORT), '127.0.0.1');
}
