//! The JSON types, headers, signed texts and error codes of the HCFS protocol.
