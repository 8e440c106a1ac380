//! A pooled disk on real files.

use crate::env::Env;
use crate::env::conformance;
use crate::env::real::RealEnv;
use crate::env::{Disk, File, Pooled};

#[tokio::test]
async fn means_what_every_disk_means_however_few_descriptors_it_keeps() {
    let root = tempfile::tempdir().unwrap();
    for held_max in [0, 1, 100] {
        conformance::all(|name| {
            let root = root.path().join(format!("{held_max}/{name}"));
            std::fs::create_dir_all(&root).unwrap();
            Pooled::new(RealEnv::new(root).unwrap().disk(), held_max)
        })
        .await;
    }
}

#[tokio::test]
async fn a_thousand_files_are_read_through_four_descriptors() {
    let root = tempfile::tempdir().unwrap();
    let env = RealEnv::new(root.path().to_owned()).unwrap();
    let disk = Pooled::new(env.disk(), 4);
    let mut files = Vec::new();
    for number in 0_u32..1_000 {
        let file = disk.create(&format!("{number}")).await.unwrap();
        file.write_at(0, number.to_be_bytes().to_vec().into())
            .await
            .unwrap();
        assert!(disk.held() <= 5, "one is not synced");
        file.sync_data().await.unwrap();
        files.push(file);
    }
    for (number, file) in (0_u32..).zip(&files) {
        let read = file.read_at(0, 4).await.unwrap();
        assert_eq!(read, number.to_be_bytes().to_vec());
        assert!(disk.held() <= 4);
    }
    disk.rename("7", "8").await.unwrap();
    disk.remove("9").await.unwrap();
    for number in [7, 8, 9_u32] {
        let read = files[number as usize].read_at(0, 4).await.unwrap();
        assert_eq!(read, number.to_be_bytes().to_vec(), "by whatever name");
    }
    drop(files);
    assert_eq!(disk.held(), 0);
}
