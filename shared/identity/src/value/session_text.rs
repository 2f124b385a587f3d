use switchyard_kernel::line_type;

line_type! {
    /// The name that a client gives the device: 1 to 100 characters on one line, at least one of them visible.
    ///
    /// The name `web` means that the client is a browser, which keeps the refresh token in a cookie.
    DeviceName, 1..=100, example = "Ada's phone"
}
