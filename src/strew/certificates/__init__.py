"""Profile strict's proof of who is who: certificates, who issues them, and TLS made from them."""
