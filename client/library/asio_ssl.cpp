// Compiles Asio's TLS once. The rest of Asio is in locker::asio, which the server uses without it.
#include <boost/asio/ssl/impl/src.hpp>
