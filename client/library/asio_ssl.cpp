// Asio's TLS, compiled once: the rest of Asio is in locker::asio, which the server has without it.
#include <boost/asio/ssl/impl/src.hpp>
