//! Emits the linker arguments a Node addon needs.

fn main() {
    napi_build::setup();
    // A worker thread that loaded the addon unloads it when it ends, under the feet of the control thread: pin the image.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
