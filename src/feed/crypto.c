/* libcrypto, loaded by whoever calls it first: base/library.h says why. The functions are those of
 * <openssl/sha.h> and <openssl/evp.h>; only the handshake of a WebSocket needs them. */
#include "base/library.h"
#include <openssl/evp.h>
#include <openssl/sha.h>

#define FUNCTION_LIST(X)                                                                           \
    X(EVP_EncodeBlock)                                                                             \
    X(SHA1)

LIBRARY_DEFINE("libcrypto.so.3", "libssl3");

/* NULL without the library. */
unsigned char *SHA1(const unsigned char *bytes, size_t length, unsigned char *digest)
{
    FORWARD(SHA1, NULL, bytes, length, digest);
}

/* −1 without the library. */
int EVP_EncodeBlock(unsigned char *text, const unsigned char *bytes, int length)
{
    FORWARD(EVP_EncodeBlock, -1, text, bytes, length);
}
