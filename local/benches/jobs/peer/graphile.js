// Stores jobs one by one, from as many callers as run jobs, then does them. Prints both rates.
import pg from "pg";
import { run, runMigrations, Logger } from "graphile-worker";

const number = Number(process.env.JOBS);
const concurrency = Number(process.env.CONCURRENCY);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: concurrency + 4 });
const logger = new Logger(() => () => {});

await pool.query("DROP SCHEMA IF EXISTS graphile_worker CASCADE");
await runMigrations({ pgPool: pool, logger });

let next = 0;
const stores = async () => {
  while (next < number) {
    const payload = JSON.stringify({ number: next++ });
    await pool.query("SELECT graphile_worker.add_job('nothing', $1::json)", [payload]);
  }
};
let start = performance.now();
await Promise.all(Array.from({ length: concurrency }, stores));
const stored = number / ((performance.now() - start) / 1e3);

let count = 0;
let finish;
const finished = new Promise((resolve) => (finish = resolve));
start = performance.now();
const runner = await run({
  pgPool: pool,
  logger,
  concurrency,
  noHandleSignals: true,
  pollInterval: 1000,
  taskList: {
    nothing: async () => {
      count += 1;
      if (count === number) finish();
    },
  },
});
await finished;
await runner.stop();
const done = number / ((performance.now() - start) / 1e3);
await pool.query("DROP SCHEMA graphile_worker CASCADE");
await pool.end();
console.log(JSON.stringify({ stored, done }));
