#include "server/calls/several_locks.hpp"

#include <set>
#include <string>

#include <boost/json.hpp>

#include "core/url_path.hpp"
#include "server/calls/call_parameters.hpp"
#include "server/calls/parameters.hpp"

namespace locker::server {
namespace {

using core::Fault;

constexpr std::size_t several_max = 256;

std::optional<Fault> read_one(const boost::json::value& value, std::vector<core::Wanted>& wanted) {
  if (!value.is_object()) return Fault{"Each of `locks` must be an object with a path."};
  Parameters parameters;
  if (auto fault = parameters.take(value.get_object())) return fault;
  if (auto fault = parameters.expect_only("path mode lock_parents lock_children")) return fault;
  const std::string_view* const text = parameters.find("path");
  if (text == nullptr || !text->starts_with('/')) {
    return Fault{"Each of `locks` needs a path that starts with a slash."};
  }
  core::Path path;
  if (auto fault = core::parse_url_path(*text, path)) return fault;
  core::Shape shape;
  if (auto fault = read_shape(parameters, shape)) return fault;
  wanted.push_back({std::string{path.view().packed()}, shape});
  return std::nullopt;
}

}  // namespace

std::optional<Fault> take_locks(boost::json::object& body, std::vector<core::Wanted>& wanted,
                                std::size_t& any) {
  const boost::json::value* const locks = body.if_contains("locks");
  if (locks == nullptr || !locks->is_array() || locks->get_array().empty()) {
    return Fault{R"(The body needs "locks": a list of {"path": "/…"}, at least one.)"};
  }
  if (locks->get_array().size() > several_max) {
    return Fault{"At most 256 locks can be taken at once."};
  }
  std::set<std::string> paths;
  for (const boost::json::value& each : locks->get_array()) {
    if (auto fault = read_one(each, wanted)) return fault;
    if (!paths.insert(wanted.back().packed_path).second) {
      return Fault{"A path stands in `locks` twice; name each once."};
    }
  }
  body.erase("locks");
  if (const boost::json::value* const value = body.if_contains("any")) {
    if (!value->is_int64() || value->get_int64() < 1 ||
        static_cast<std::size_t>(value->get_int64()) > paths.size()) {
      return Fault{"`any` must be a number from 1 to how many locks there are in the list."};
    }
    any = static_cast<std::size_t>(value->get_int64());
    body.erase("any");
  }
  return std::nullopt;
}

}  // namespace locker::server
