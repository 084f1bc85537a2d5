//! Keys, account addresses, signatures, sealed phrases and framed ciphertext.
