#include "tests/histories/http_request.hpp"

#include <boost/json.hpp>

namespace locker::histories {
namespace {

namespace json = boost::json;

/// A path in a query is encoded once more, as all text there.
std::string encoded(const std::string& path) {
  std::string text;
  for (const char c : path) text += c == '%' ? "%25" : std::string(1, c);
  return text;
}

/// What else we put into a query needs no encoding.
class Query {
 public:
  template <typename Value>
  Query& add(const char* name, const Value& value, bool is_there = true) {
    if (!is_there) return *this;
    text_ += text_.empty() ? '?' : '&';
    text_ += name;
    text_ += '=';
    if constexpr (std::is_arithmetic_v<Value>) {
      text_ += std::to_string(value);
    } else {
      text_ += value;
    }
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string milliseconds(std::int64_t count) { return std::to_string(count) + "ms"; }

const char* flag(bool value) { return value ? "true" : "false"; }

/// What is as the call would have it anyway is left out.
HttpConnection::Request acquire(const Operation& operation) {
  const Shape& shape = operation.wanted.front().shape;
  Query query;
  query.add("owner", operation.owner)
      .add("mode", std::string{"shared"}, shape.is_shared)
      .add("lock_parents", flag(shape.lock_parents), !shape.lock_parents)
      .add("lock_children", flag(shape.lock_children), !shape.lock_children)
      .add("token", operation.token, !operation.token.empty())
      .add("ttl", milliseconds(operation.ttl_ms.value_or(0)), operation.ttl_ms.has_value())
      .add("wait", milliseconds(operation.wait_ms), operation.wait_ms != 0)
      .add("lock_delay", milliseconds(operation.lock_delay_ms), operation.lock_delay_ms != 0)
      .add("meta", operation.meta, !operation.meta.empty());
  return {"POST", "/v1/locks" + operation.path() + query.text(), {}};
}

HttpConnection::Request several(const Operation& operation) {
  json::array locks;
  for (const Wanted& wanted : operation.wanted) {
    locks.push_back(json::object{{"path", wanted.path},
                                 {"mode", wanted.shape.is_shared ? "shared" : "exclusive"},
                                 {"lock_parents", wanted.shape.lock_parents},
                                 {"lock_children", wanted.shape.lock_children}});
  }
  json::object body{{"locks", std::move(locks)}, {"owner", operation.owner}};
  if (operation.any != 0) body["any"] = operation.any;
  if (!operation.token.empty()) body["token"] = operation.token;
  if (operation.ttl_ms) body["ttl"] = milliseconds(*operation.ttl_ms);
  if (operation.wait_ms != 0) body["wait"] = milliseconds(operation.wait_ms);
  if (operation.lock_delay_ms != 0) body["lock_delay"] = milliseconds(operation.lock_delay_ms);
  if (!operation.meta.empty()) body["meta"] = operation.meta;
  return {"POST", "/v1/locks", json::serialize(body)};
}

HttpConnection::Request force(const Operation& operation) {
  const ForceFilter& filter = operation.filter;
  Query query;
  query.add("force", flag(true))
      .add("reason", "torture")
      .add("prefix", encoded(filter.prefix), !filter.prefix.empty())
      .add("owner", filter.owner, !filter.owner.empty())
      .add("fence", filter.fence, filter.fence != 0);
  return {"DELETE", "/v1/locks" + filter.path + query.text(), {}};
}

}  // namespace

HttpConnection::Request http_request_of(const Operation& operation) {
  const std::string token = Query{}.add("token", operation.token).text();
  switch (operation.kind) {
    case Kind::canhaz: {
      const Shape& shape = operation.wanted.front().shape;
      Query query;
      query.add("id", operation.owner)
          .add("lockParents", "False", !shape.lock_parents)
          .add("lockChildren", "False", !shape.lock_children);
      return {"GET", "/canhaz" + operation.path() + query.text(), {}};
    }
    case Kind::nowant:
      return {"GET", "/nowant" + operation.path() + token, {}};
    case Kind::dohaz:
      return {"GET", "/dohaz" + operation.path(), {}};
    case Kind::acquire:
      return acquire(operation);
    case Kind::several:
      return several(operation);
    case Kind::release:
      return {"DELETE", "/v1/locks" + operation.path() + token, {}};
    case Kind::release_all:
      return {"DELETE", "/v1/leases" + token, {}};
    case Kind::renew: {
      Query query;
      query.add("token", operation.token)
          .add("ttl", milliseconds(operation.ttl_ms.value_or(0)), operation.ttl_ms.has_value());
      return {"POST", "/v1/leases/renew" + query.text(), {}};
    }
    case Kind::open_lease: {
      Query query;
      query.add("owner", operation.owner)
          .add("token", operation.token)
          .add("ttl", milliseconds(operation.ttl_ms.value_or(0)), operation.ttl_ms.has_value());
      return {"POST", "/v1/leases" + query.text(), {}};
    }
    case Kind::look:
      return {"GET", "/v1/locks" + operation.path(), {}};
    case Kind::look_at_lease:
      return {"GET", "/v1/leases" + token, {}};
    case Kind::force:
      return force(operation);
  }
  return {};
}

}  // namespace locker::histories
