//! The profiles of users.

use serde_json::json;
use switchyard_harness::app::App;

crate::on_every_backend!(a_profile_is_replaced_and_changed_in_parts);

async fn a_profile_is_replaced_and_changed_in_parts(app: App) {
    let (ada, grace) = (app.register("Ada").await, app.register("Grace").await);
    let path = format!("/users/{}/profile", ada.id);
    let empty = app.get(&path).by(&ada).await;
    assert_eq!(
        empty.expect(200),
        json!({
            "user_id": ada.id, "phone": null, "date_of_birth": null, "avatar_url": null, "bio": null, "locale": null,
            "timezone": null, "address": null, "updated_at": "2033-05-18T03:33:20.000Z",
        })
    );
    let fields = json!({
        "phone": "+442071234567", "locale": "en-GB", "timezone": "Europe/London",
        "address": {"line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"},
    });
    let replaced = app.put(&path).by(&ada).if_match(&empty.etag()).json(fields).await;
    assert_eq!(replaced.expect(200)["address"]["line2"], json!(null));

    let patch = json!({"locale": null, "address": {"line2": "Second floor", "postal_code": null}});
    let patched = app.patch(&path).by(&ada).if_match(&replaced.etag()).json(patch).await;
    let profile = patched.expect(200);
    assert_eq!((&profile["phone"], &profile["locale"]), (&json!("+442071234567"), &json!(null)));
    let address = json!({
        "line1": "12 St James's Square", "line2": "Second floor", "city": "London", "region": null,
        "postal_code": null, "country": "GB",
    });
    assert_eq!(profile["address"], address);

    let android = json!({"locale": "EN-us-u-fw-mon-mu-celsius"});
    let profile = app.patch(&path).by(&ada).json(android).await;
    assert_eq!(profile.expect(200)["locale"], "en-US-u-fw-mon-mu-celsius");
    let patched = app.patch(&path).by(&ada).json(json!({"locale": null})).await;

    let wrong = json!({"date_of_birth": "2033-05-20", "address": {"country": "Britain", "street": "x"}});
    let refused = app.patch(&path).by(&ada).json(wrong).await;
    assert_eq!(refused.error(), (400, "VALIDATION_ERROR".to_owned()));
    assert_eq!(
        refused.details(),
        json!({
            "address.country": "must be a country code of two letters as in DE (ISO 3166-1)",
            "address.street": "is not a known field",
        })
    );
    let ahead = app.patch(&path).by(&ada).json(json!({"date_of_birth": "2033-05-20"})).await;
    assert_eq!(ahead.details(), json!({"date_of_birth": "must not lie in the future"}));
    let nowhere = app.patch(&path).by(&ada).json(json!({"address": {"country": "ZZ"}})).await;
    assert_eq!(
        nowhere.details(),
        json!({"address.country": "must be a country code of two letters as in DE (ISO 3166-1)"})
    );
    let stale = app.patch(&path).by(&ada).if_match(&empty.etag()).json(json!({"bio": "x"})).await;
    assert_eq!(stale.error(), (412, "PRECONDITION_FAILED".to_owned()));

    assert_eq!(app.get(&path).by(&grace).await.status, 404);
    assert_eq!(app.patch(&path).by(&grace).json(json!({"bio": "x"})).await.status, 404);
    assert_eq!(app.get(&path).by(&ada).await.etag(), patched.etag());
}
