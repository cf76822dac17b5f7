#include "client/library/calls.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

namespace locker::client {
namespace {

using boost::beast::http::verb;

// The same as in core/url_path.hpp, so that programs that link this library need not link core.
void append_encoded(char c, std::string& out) {
  constexpr char digits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += digits[byte >> 4U];
  out += digits[byte & 15U];
}

bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

class Query {
 public:
  Query& add(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    text_ += text_.empty() ? '?' : '&';
    text_.append(name).append("=").append(query_value(value));
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::optional<milliseconds> ttl_of(const boost::json::object& object) {
  const auto& ttl = object.at("ttl_ms");
  if (ttl.is_null()) return std::nullopt;
  return milliseconds{ttl.to_number<std::int64_t>()};
}

bool is_shared(const boost::json::object& lock) {
  const auto* const mode = lock.if_contains("mode");
  return mode != nullptr && *mode == "shared";
}

/// For an answer whose status says success.
Failure no_answer_of_a_lock_server(const Reply& reply) {
  Failure failure = reply.failure();
  failure.kind = Failure::Kind::unreachable;
  return failure;
}

boost::json::object shape_of(const Wanted& wanted) {
  boost::json::object object;
  if (wanted.shared) object["mode"] = "shared";
  if (!wanted.lock_parents) object["lock_parents"] = false;
  if (!wanted.lock_children) object["lock_children"] = false;
  return object;
}

}  // namespace

std::string fresh_token() {
  boost::uuids::random_generator generate;  // from the system's random source
  return to_string(generate());
}

std::string url_path(std::string_view typed) {
  std::string path = typed.starts_with('/') ? "" : "/";
  for (const char c : typed) {
    if (c > ' ' && c < '\x7f' && c != '?' && c != '#') {
      path += c;
    } else {
      append_encoded(c, path);
    }
  }
  return path;
}

std::string query_value(std::string_view text) {
  std::string value;
  for (const char c : text) {
    if (is_plain(c)) {
      value += c;
    } else {
      append_encoded(c, value);
    }
  }
  return value;
}

Call acquire_call(const Wanted& wanted, const std::string& token, milliseconds wait) {
  Call call;
  call.method = verb::post;
  call.token = token;
  call.wait = wait;
  boost::json::object body;
  if (wanted.paths.size() == 1 && wanted.any == 0) {
    call.target = "/v1/locks" + url_path(wanted.paths.front());
    body = shape_of(wanted);
  } else {
    call.target = "/v1/locks";
    boost::json::array locks;
    for (const std::string& path : wanted.paths) {
      boost::json::object lock = shape_of(wanted);
      lock["path"] = url_path(path);
      locks.push_back(std::move(lock));
    }
    body["locks"] = std::move(locks);
    if (wanted.any != 0) body["any"] = wanted.any;
  }
  if (!wanted.owner.empty()) body["owner"] = wanted.owner;
  if (!wanted.ttl.empty()) body["ttl"] = wanted.ttl;
  if (!wanted.meta.empty()) body["meta"] = wanted.meta;
  if (!wanted.lock_delay.empty()) body["lock_delay"] = wanted.lock_delay;
  if (wait.count() > 0) body["wait"] = std::to_string(wait.count()) + "ms";
  call.body = boost::json::serialize(body);
  return call;
}

Result<Grant> parse_grant(const Reply& reply) {
  if (reply.status >= 300) return reply.failure();
  const boost::json::object object = reply.json();
  Grant grant;
  grant.sent = reply.sent;
  try {
    if (const auto* const path = object.if_contains("path")) {
      grant.paths.emplace_back(path->as_string());
      grant.shared = is_shared(object);
    } else {
      for (const auto& lock : object.at("locks").as_array()) {
        grant.paths.emplace_back(lock.at("path").as_string());
        grant.shared = is_shared(lock.as_object());
      }
    }
    grant.token = object.at("token").as_string();
    grant.owner = object.at("owner").as_string();
    grant.fence = object.at("fence").to_number<std::uint64_t>();
    grant.ttl = ttl_of(object);
  } catch (const std::exception&) {
    return no_answer_of_a_lock_server(reply);
  }
  return grant;
}

Call renew_call(const std::string& token, const std::string& ttl) {
  Call call;
  call.method = verb::post;
  call.target = "/v1/leases/renew" + Query{}.add("ttl", ttl).text();
  call.token = token;
  return call;
}

Result<Renewal> parse_renewal(const Reply& reply) {
  if (reply.status != 200) return reply.failure();
  const boost::json::object object = reply.json();
  try {
    Renewal renewal{ttl_of(object), object.at("locks").to_number<std::size_t>()};
    const auto* const newest = object.if_contains("newest_fence");
    if (newest != nullptr && !newest->is_null()) {
      renewal.newest_fence = newest->to_number<std::uint64_t>();
    }
    return renewal;
  } catch (const std::exception&) {
    return no_answer_of_a_lock_server(reply);
  }
}

Call lease_call(const std::string& token, const std::string& after) {
  Call call;
  call.target = "/v1/leases" + Query{}.add("after", after).text();
  call.token = token;
  return call;
}

Result<LeasePage> parse_lease(const Reply& reply) {
  if (reply.status != 200) return reply.failure();
  const boost::json::object object = reply.json();
  LeasePage page;
  try {
    for (const auto& lock : object.at("locks").as_array()) {
      page.locks.emplace(lock.at("path").as_string(),
                         LeasePage::Held{lock.at("fence").to_number<std::uint64_t>(),
                                         is_shared(lock.as_object())});
    }
    const auto& next = object.at("next");
    if (!next.is_null()) page.next = next.as_string();
  } catch (const std::exception&) {
    return no_answer_of_a_lock_server(reply);
  }
  return page;
}

Call release_call(const std::string& token, const std::string& path) {
  Call call;
  call.method = verb::delete_;
  call.target = path.empty() ? "/v1/leases" : "/v1/locks" + url_path(path);
  call.token = token;
  return call;
}

std::vector<std::string> paths_to_release(const Grant& grant, bool has_joined) {
  return has_joined ? grant.paths : std::vector<std::string>{""};
}

// A count of 0 answers a repeated release, when the answer to the first was lost.
bool tells_of_loss(const Reply& released, const Grant& grant) {
  const boost::json::object object = released.json();
  const auto* const count = object.if_contains("released");
  if (count == nullptr || !count->is_int64()) return false;
  return count->get_int64() > 0 &&
         static_cast<std::uint64_t>(count->get_int64()) < grant.paths.size();
}

Call look_call(const std::string& path) {
  Call call;
  call.target = "/v1/locks" + url_path(path);
  return call;
}

Call list_call(const ListFilter& filter, const std::string& after) {
  Query query;
  if (!filter.prefix.empty()) query.add("prefix", url_path(filter.prefix));
  query.add("owner", filter.owner).add("state", filter.state);
  query.add("limit", std::to_string(filter.limit)).add("after", after);
  Call call;
  call.target = "/v1/locks" + query.text();
  return call;
}

Call force_call(const ForceFilter& filter, const std::string& reason) {
  Query query;
  query.add("force", "true").add("reason", reason);
  if (!filter.prefix.empty()) query.add("prefix", url_path(filter.prefix));
  query.add("owner", filter.owner).add("fence", filter.fence);
  if (filter.ends_cooling) query.add("cooling", "true");
  if (filter.ends_waiting) query.add("waiting", "true");
  Call call;
  call.method = verb::delete_;
  call.target = "/v1/locks" + (filter.path.empty() ? "" : url_path(filter.path)) + query.text();
  return call;
}

Call events_call(const std::string& prefix) {
  Query query;
  if (!prefix.empty()) query.add("prefix", url_path(prefix));
  Call call;
  call.target = "/v1/events" + query.text();
  return call;
}

}  // namespace locker::client
