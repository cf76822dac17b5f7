#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/audit_note.hpp"
#include "server/request_target.hpp"

namespace locker::server {

struct Caller;

enum class Method : std::uint8_t { get, head, post, delete_, lock, unlock, other };

/// The remote end of a connection.
struct Peer {
  std::string address;      ///< Address and port.
  std::string certificate;  ///< Subject of its TLS certificate, as in RFC 2253; empty: none.
};

/// The connection that a request arrived on. Valid only while the request is being answered.
class Connection {
 public:
  /// Returns whether the client has closed or half-closed the connection, even if unread bytes come
  /// before its end of stream.
  [[nodiscard]] virtual bool has_left() = 0;

 protected:
  ~Connection() = default;
};

/// One HTTP request, checked as HTTP but not interpreted. The views point into the connection's
/// read buffer and are valid until the handler returns.
struct Request {
  Method method = Method::get;
  std::string_view method_name;
  RequestTarget target;  ///< Origin form, even if the client sent the absolute form; printable
                         ///< ASCII, at most 8 KiB.
  std::string_view body;
  std::string_view content_type;
  std::string_view accept;
  std::string_view authorization;
  std::string_view if_none_match;   ///< Header If-None-Match.
  std::string_view lock_token;      ///< Header Lock-Token; data() is null without it.
  std::string_view last_event_id;   ///< Header Last-Event-ID.
  std::string_view requested_with;  ///< Header X-Requested-With: a script asks, not its browser.
  std::string_view host;            ///< From an absolute target, else header Host.
  std::string_view origin;          ///< Sent by browsers, like the next three.
  std::string_view referer;
  std::string_view sec_fetch_site;   ///< Which site caused the request; over HTTPS or to loopback.
  std::string_view sec_purpose;      ///< Or header Purpose: a prefetch.
  const Peer* peer = nullptr;        ///< Set if HttpHooks::tell_peer is; else null.
  Connection* connection = nullptr;  ///< Null: nothing tells whether the client is still there.
  /// The caller on whose behalf the request is answered. Null: everything is permitted and
  /// readable, and nothing is audited.
  const Caller* caller = nullptr;

  /// Returns whether the call changes nothing.
  [[nodiscard]] bool reads() const { return method == Method::get || method == Method::head; }
};

/// The kind of call, which is a label of the metrics: their cardinality is fixed, whatever paths
/// and owners there are.
enum class CallKind : std::uint8_t {
  canhaz,
  nowant,
  dohaz,
  acquire,
  acquire_several,
  waited,  ///< A deferred answer: to an acquire that waited for its lock, or to a force that ended
           ///< very many locks.
  release,
  force,
  look,
  list,
  lease_open,
  lease_renew,
  lease_look,
  lease_release,
  events,
  terraform,
  page,        ///< A file of /ui.
  operations,  ///< For operators: health, status, metrics, documents.
  other,
  unreadable,  ///< Refused as HTTP.
};
inline constexpr std::size_t call_count = static_cast<std::size_t>(CallKind::unreadable) + 1;
[[nodiscard]] constexpr std::size_t index_of(CallKind call) {
  return static_cast<std::size_t>(call);
}

struct Response;

/// Wakes a connection. wake() may be called on any thread and with locks held: it only posts.
class Waker {
 public:
  virtual void wake() = 0;

 protected:
  ~Waker() = default;
};

/// An answer that is not available yet: to a request that waits for a lock, or to a force in
/// progress. Every call but Waker::wake() is made on the connection's thread. Only finish() may
/// throw.
class PendingAnswer {
 public:
  /// May come at any time before start().
  virtual ~PendingAnswer() = default;
  /// Called once. From then on, possibly from inside this call, wake() is called exactly once,
  /// unless abandon() comes first and returns true.
  virtual void start(Waker& waker) = 0;
  /// Updates what the caller may do, which can have changed since the request. Called before
  /// finish().
  virtual void set_caller(const Caller& /*caller*/) {}
  /// Called after wake(). Fills in `response`, a fresh one, as RequestHandler::answer does, but
  /// never sets `pending` or `stream`. Also called if the client has gone in the meantime; the
  /// response is then not delivered.
  virtual void finish(Response& response) = 0;
  /// Called after finish(), instead of sending its response, when the caller may not have what it
  /// was granted. Releases the grant and returns the index of that release; nullopt: the answer is
  /// not a grant, and its effect stands.
  [[nodiscard]] virtual std::optional<std::uint64_t> take_back(Response& response) = 0;
  /// Called when the client has gone or the server stops. True: wake() was not called and never
  /// will be, and neither will finish(). False: wake() was called or is being called; it arrives.
  [[nodiscard]] virtual bool abandon() = 0;
};

/// Undoes an answer that cannot be delivered: the destructor does it, unless delivered() was
/// called. On the connection's thread.
class Delivery {
 public:
  virtual ~Delivery() = default;
  /// Called when the kernel has taken the last byte of the answer. Must not throw.
  virtual void delivered() = 0;
};

/// An endless response, sent in pieces: server-sent events. Every call but Waker::wake() is made on
/// the connection's thread. Only read() and append_comment() may throw, which closes the
/// connection.
class Stream {
 public:
  virtual ~Stream() = default;  ///< The connection is gone; wake() is not called after this.
  /// Called once. wake() may be called once after start(), and once after each read() that returned
  /// `waits`. read() is not called before the header is sent.
  virtual void start(Waker& waker) = 0;
  enum class Outcome : std::uint8_t {
    more,   ///< Call read() again once this piece is sent.
    waits,  ///< Nothing more for the moment; the text appended so far ends with a whole event.
    over,   ///< Send this piece and close: the reader is too slow, or the server stops.
  };
  /// Appends at most about `limit` bytes.
  virtual Outcome read(std::string& out, std::size_t limit) = 0;
  /// Appends a comment: a heartbeat that shows both sides, and the proxies between them, that the
  /// connection is alive. Called when no event has come for a long time after a read() that
  /// returned `waits`.
  virtual void append_comment(std::string& out) = 0;
};

/// One answer without its framing (Date, Locker-Index, Content-Length, Connection), which the
/// connection adds. Reused from request to request to keep the body's memory.
struct Response {
  CallKind call = CallKind::other;
  unsigned status = 200;
  std::string_view content_type = "application/json";  ///< Must be of static lifetime.
  std::string_view allow;                              ///< Header Allow, if not empty; static.
  bool retry_after = false;                            ///< Adds `Retry-After: 1`.
  bool asks_for_password = true;  ///< For a 401: makes a browser prompt its user.
  /// Header lines that replace `Cache-Control: no-store`, each with its CR LF; static.
  std::string_view other_fields;
  std::string body;
  /// The answer is not sent before this journal index is durable; also the value of header
  /// Locker-Index. 0: the answer waits for nothing, and Locker-Index is the last durable index.
  std::uint64_t index = 0;
  /// The answer comes later; the rest of this response is ignored.
  std::unique_ptr<PendingAnswer> pending;
  /// Notified when this answer is written; destroyed in any case.
  std::unique_ptr<Delivery> delivery;
  /// Sent instead of the body, after which the connection is closed. A HEAD gets only the header.
  std::unique_ptr<Stream> stream;
  /// What was done, if Caller::is_audited; null: nothing to be audited.
  std::unique_ptr<AuditNote> audit;
};

/// How a connection treats a request before the handler answers it.
struct Treatment {
  bool has_large_body = false;  ///< Its body may have HttpLimits::large_body_max bytes.
  bool is_probe = false;        ///< Sent by monitoring: answered beyond the connection limit, too.
};

/// Answers requests. Called on any thread; must not block.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  /// Decides by the method and the target alone, because the body may not have arrived.
  [[nodiscard]] virtual Treatment treatment_of(Method /*method*/,
                                               const RequestTarget& /*target*/) const {
    return {};
  }
  /// Fills in `response`, which is a fresh one except for its body's capacity.
  virtual void answer(const Request& request, Response& response) = 0;
  /// Answers a request whose body has not arrived yet. True: the body is not needed, and `response`
  /// is filled in, never with `pending` or `stream`. False: nothing was done.
  [[nodiscard]] virtual bool answer_early(const Request& /*request*/, Response& /*response*/) {
    return false;
  }
};

}  // namespace locker::server
