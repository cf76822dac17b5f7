#include "client/library/server_address.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace locker::client {
namespace {

Failure bad_address(std::string_view url, const std::string& what) {
  Failure failure;
  failure.code = "bad_url";
  failure.message =
      "The server's URL '" + std::string{url} + "' " + what + "; write it as http://host:8765.";
  return failure;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         std::stoul(std::string{text}) <= 65'535;
}

}  // namespace

void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::runtime_error{failure.message};
}

std::string ServerAddress::host_field() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (is_tls ? "443" : "80") ? name : name + ":" + port;
}

Result<ServerAddress> parse_server_address(std::string_view url) {
  const bool is_tls = url.starts_with("https://");
  if (!is_tls && !url.starts_with("http://")) {
    return bad_address(url, "begins with neither http:// nor https://");
  }
  std::string_view rest = url.substr(url.find("//") + 2);
  const bool is_printable =
      std::all_of(rest.begin(), rest.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!is_printable || rest.find_first_of("?#@") != std::string_view::npos) {
    return bad_address(url, "contains more than host, port and path");
  }
  ServerAddress address;
  address.is_tls = is_tls;
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  address.base = rest.substr(slash);
  while (address.base.ends_with('/')) address.base.pop_back();
  std::string_view authority = rest.substr(0, slash);
  std::size_t host_end = 0;
  if (authority.starts_with('[')) {
    host_end = authority.find(']');
    if (host_end == std::string_view::npos) return bad_address(url, "has a [ without a ]");
    address.host = authority.substr(1, host_end - 1);
    ++host_end;
  } else {
    host_end = std::min(authority.find(':'), authority.size());
    address.host = authority.substr(0, host_end);
  }
  if (address.host.empty()) return bad_address(url, "names no host");
  const std::string_view port = authority.substr(host_end);
  if (port.empty()) {
    address.port = is_tls ? "443" : "80";
  } else if (port.front() == ':' && is_port(port.substr(1))) {
    address.port = port.substr(1);
  } else {
    return bad_address(url, "has a port that is not a number up to 65535");
  }
  return address;
}

}  // namespace locker::client
