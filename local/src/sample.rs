//! Generates sample accounts, for experiments with large numbers of accounts.

use std::io::Write;

/// Lists of given names and family names, one pair of lists per script.
const NAMES: &[(&[&str], &[&str])] = &[
    (
        &["Amara", "John", "Grace", "Kwame", "Ngozi", "Thabo"],
        &["Okafor", "Smith", "Mensah", "Dlamini", "O'Hara", "Lee"],
    ),
    (
        &["Zoë", "José", "Łucja", "Åsa", "Çağla", "Đorđe"],
        &["Brontë", "Núñez", "Wójcik", "Ångström", "Öztürk", "Müller"],
    ),
    (&["Nguyễn", "Trần", "Phạm", "Đặng"], &["Thị Hương", "Văn Đức", "Minh Châu", "Quốc Bảo"]),
    (&["Анна", "Дмитрий", "Оксана", "Ђорђе"], &["Иванова", "Шевченко", "Йовић", "Пётров"]),
    (&["Ἑλένη", "Γιώργος", "Σοφία"], &["Παπαδόπουλος", "Νικολάου", "Οικονόμου"]),
    (&["محمد", "فاطمة", "یوسف", "نازنین"], &["الحسن", "العلي", "رضایی", "خان"]),
    (&["שרה", "דוד", "נועה"], &["כהן", "לוי", "מזרחי"]),
    (&["अमित", "प्रिया", "दीपिका"], &["शर्मा", "गुप्ता", "चौधरी"]),
    (&["கவிதா", "முருகன்"], &["சுந்தரம்", "நடராஜன்"]),
    (&["নুসরাত", "রহিম"], &["চৌধুরী", "হোসেন"]),
    (&["伟", "芳", "秀英", "𠮷"], &["王", "李", "歐陽", "𡈽屋"]),
    (&["さくら", "翔太", "ケンジ"], &["山田", "佐藤", "スズキ"]),
    (&["민준", "서연", "지우"], &["김", "이", "박"]),
    (&["สมชาย", "กัญญา"], &["ใจดี", "ศรีสุข"]),
    (&["አበበ", "ትዕግስት"], &["በቀለ", "ተስፋዬ"]),
    (&["ნინო", "გიორგი"], &["ბერიძე", "კაპანაძე"]),
    (&["Արամ", "Նարե"], &["Պետրոսյան", "Սարգսյան"]),
    (&["ソフィア 🌸", "Max 🚀"], &["O’Connor", "van der Berg"]),
];

/// Seconds between the creation times of consecutive accounts.
const SPACING: i64 = 37;
/// The creation time of the first account: 2023-01-01T00:00:00Z.
const FIRST: i64 = 1_672_531_200;

/// Writes `count` accounts as NDJSON. They are always the same, and each has a unique address.
pub(crate) fn write(count: u64, mut out: impl Write) -> anyhow::Result<()> {
    for number in 0..count {
        let pick = |names: &[&'static str], step: u64| -> &'static str {
            names[usize::try_from((number / step) % names.len() as u64).unwrap_or(0)]
        };
        let script = usize::try_from(number % NAMES.len() as u64)?;
        let (given, family) = NAMES[script];
        let step = NAMES.len() as u64;
        let name = format!("{} {}", pick(given, step), pick(family, step * given.len() as u64));
        let created_at = jiff::Timestamp::from_second(FIRST + i64::try_from(number)? * SPACING)?;
        let account = serde_json::json!({
            "email": format!("person-{number:07}@example.org"),
            "name": name,
            "roles": if number % 50 == 0 { ["merchant"] } else { ["customer"] },
            "created_at": created_at.to_string(),
        });
        serde_json::to_writer(&mut out, &account)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sample_is_the_same_each_time_and_its_addresses_are_distinct() {
        let sample = |count| {
            let mut out = Vec::new();
            super::write(count, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let first = sample(500);
        assert!(sample(1_000).starts_with(&first));
        let account: serde_json::Value = serde_json::from_str(first.lines().nth(7).unwrap()).unwrap();
        assert_eq!(account["email"], "person-0000007@example.org");
        assert_eq!(account["name"], "अमित शर्मा");
        assert_eq!(account["created_at"], "2023-01-01T00:04:19Z");
        let addresses: std::collections::HashSet<_> =
            first.lines().map(|line| line.split('"').nth(7)).collect();
        assert_eq!(addresses.len(), 500);
    }
}
