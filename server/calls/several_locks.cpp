#include "server/calls/several_locks.hpp"

#include <set>
#include <string>

#include <boost/json.hpp>

#include "server/calls/call_reader.hpp"
#include "server/calls/json_body.hpp"

namespace locker::server {
namespace {

using core::Fault;

constexpr std::size_t several_max = 256;

std::optional<Fault> read_one(const Request& request, const boost::json::value& value,
                              std::vector<core::Wanted>& wanted) {
  if (!value.is_object()) return Fault{"Each of `locks` must be an object with a path."};
  core::Path path;
  core::Shape shape;
  CallReader read{request};
  read.parameters(value.get_object()).only("path mode lock_parents lock_children");
  const std::string_view path_text = read.text("path");
  read.require(path_text.starts_with('/'), "Each of `locks` needs a path that starts with a slash.")
      .path(path_text, path)
      .shape(shape);
  if (!read.fault()) wanted.push_back({std::string{path.view().packed()}, shape});
  return read.fault();
}

}  // namespace

std::optional<Fault> read_several_locks(const Request& request, SeveralLocks& several) {
  boost::json::object& body = several.parameters;
  if (auto fault = read_json_object(request, body)) return fault;
  const boost::json::value* const locks = body.if_contains("locks");
  if (locks == nullptr || !locks->is_array() || locks->get_array().empty()) {
    return Fault{R"(The body needs "locks": a list of {"path": "/…"}, at least one.)"};
  }
  if (locks->get_array().size() > several_max) {
    return Fault{"At most 256 locks can be acquired at once."};
  }
  std::set<std::string> paths;
  for (const boost::json::value& each : locks->get_array()) {
    if (auto fault = read_one(request, each, several.wanted)) return fault;
    if (!paths.insert(several.wanted.back().packed_path).second) {
      return Fault{"A path appears twice in `locks`; name each once."};
    }
  }
  body.erase("locks");
  if (const boost::json::value* const any = body.if_contains("any")) {
    if (!any->is_int64() || any->get_int64() < 1 ||
        static_cast<std::size_t>(any->get_int64()) > paths.size()) {
      return Fault{"`any` must be a number from 1 to the number of locks in the list."};
    }
    several.any = static_cast<std::size_t>(any->get_int64());
    body.erase("any");
  }
  return std::nullopt;
}

}  // namespace locker::server
