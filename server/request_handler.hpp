#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/audit_note.hpp"

namespace locker::server {

struct Caller;

enum class Method : std::uint8_t { get, head, post, delete_, lock, unlock, other };

/// Who is at the other end of a connection.
struct Peer {
  std::string address;      ///< And port.
  std::string certificate;  ///< The subject of its TLS certificate, as in RFC 2253; empty: none.
};

/// What a request came by. Of use only amid the answer to it.
class Connection {
 public:
  /// Whether the client has gone or shut down its side, also when there are bytes before its end.
  [[nodiscard]] virtual bool has_left() = 0;

 protected:
  ~Connection() = default;
};

/// One HTTP request, checked as HTTP and not yet as anything else. The views point into the
/// connection's read buffer and are good until the handler returns.
struct Request {
  Method method = Method::get;
  std::string_view method_name;
  std::string_view target;  ///< Origin form, also if the absolute one was sent; printable ASCII, at
                            ///< most 8 KiB: path, `?`, query.
  std::string_view body;
  std::string_view content_type;
  std::string_view accept;
  std::string_view authorization;
  std::string_view if_none_match;   ///< Header If-None-Match.
  std::string_view lock_token;      ///< Header Lock-Token; without it data() is null.
  std::string_view last_event_id;   ///< Header Last-Event-ID.
  std::string_view requested_with;  ///< Header X-Requested-With: a script asks, not its browser.
  std::string_view host;            ///< Of an absolute target, else header Host.
  std::string_view origin;          ///< Sent by browsers, as the next three.
  std::string_view referer;
  std::string_view sec_fetch_site;   ///< Who caused the request. To HTTPS and loopback only.
  std::string_view sec_purpose;      ///< Also as Purpose: a prefetch.
  const Peer* peer = nullptr;        ///< If HttpHooks wants it to be told; else null.
  Connection* connection = nullptr;  ///< Null: nobody can tell whether its client is still there.
  /// On whose behalf, for this call; null: everything may be done and told, and nobody keeps books.
  const Caller* caller = nullptr;

  /// A call that changes nothing.
  [[nodiscard]] bool reads() const { return method == Method::get || method == Method::head; }
};

/// Which kind of call a request is; metrics are counted by it. As many as stand here, whatever
/// paths and owners there are.
enum class CallKind : std::uint8_t {
  canhaz,
  nowant,
  dohaz,
  acquire,
  acquire_several,
  waited,  ///< An answer that was not there at once: of an acquire that waited for its lock, or of
           ///< a force that ended very much.
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
  operations,  ///< For who runs the server: health, status, metrics, documents.
  other,
  unreadable,  ///< Refused as HTTP.
};
inline constexpr std::size_t call_count = static_cast<std::size_t>(CallKind::unreadable) + 1;
[[nodiscard]] constexpr std::size_t index_of(CallKind call) {
  return static_cast<std::size_t>(call);
}

struct Response;

/// Wakes a connection. Any thread, also under locks: it only posts.
class Waker {
 public:
  virtual void wake() = 0;

 protected:
  ~Waker() = default;
};

/// An answer that is not there yet: a request that waits for a lock, a force that goes on. All
/// calls but Waker::wake() are made on the connection's thread. Only finish() may throw.
class PendingAnswer {
 public:
  /// Before start() it can be at any time.
  virtual ~PendingAnswer() = default;
  /// Called once. From now on (also from inside this call) wake() is called exactly once, unless
  /// abandon() comes first and returns true.
  virtual void start(Waker& waker) = 0;
  /// The request's caller may do something else by now. Before finish().
  virtual void set_caller(const Caller& /*caller*/) {}
  /// After wake(): fills in the response (a fresh one), as RequestHandler::answer does; never sets
  /// `pending` or `stream`. Called also when the client has gone meanwhile: then the response is
  /// not delivered.
  virtual void finish(Response& response) = 0;
  /// After finish(), in place of telling its response: the caller may not have what it was granted,
  /// which is given back. The index by which that is done. None: it is no grant, and stays done.
  [[nodiscard]] virtual std::optional<std::uint64_t> take_back(Response& /*response*/) {
    return std::nullopt;
  }
  /// The client has gone, or the server stops. True: wake() was not called and never will be, and
  /// finish() will not be either. False: wake() was called or is just being called; it arrives.
  [[nodiscard]] virtual bool abandon() = 0;
};

/// What is to be undone when an answer cannot be written to its connection: the destructor undoes
/// it, unless the answer was delivered. On the connection's thread.
class Delivery {
 public:
  virtual ~Delivery() = default;
  /// The kernel has taken the answer's last byte. Must not throw.
  virtual void delivered() = 0;
};

/// An answer without end, in pieces: server-sent events. On the connection's thread but for
/// wake(). Only read() and append_comment() may throw, which closes the connection.
class Stream {
 public:
  virtual ~Stream() = default;  ///< The connection is gone; after this wake() is not called.
  /// Called once. wake() may be called once after each read() that returned `waits`, and once after
  /// start(). Before the header is sent nothing is read.
  virtual void start(Waker& waker) = 0;
  enum class Outcome : std::uint8_t {
    more,   ///< Call again when those are sent.
    waits,  ///< Nothing more now; what was appended ends where an event does.
    over,   ///< Close after what was appended: the reader is too slow, or the server stops.
  };
  /// Appends at most about `limit` bytes.
  virtual Outcome read(std::string& out, std::size_t limit) = 0;
  /// For long nothing came after a read() that returned `waits`: appends a comment, by which both
  /// sides and what is between them see that the connection lives.
  virtual void append_comment(std::string& out) = 0;
};

/// One answer without its framing (Date, Locker-Index, Content-Length, Connection), which the
/// connection adds. Reused from request to request, so that the body's memory is.
struct Response {
  CallKind call = CallKind::other;
  unsigned status = 200;
  std::string_view content_type = "application/json";  ///< Must be of static lifetime.
  std::string_view allow;                              ///< Header Allow, when not empty; static.
  bool retry_after = false;                            ///< Adds `Retry-After: 1`.
  bool asks_for_password = true;                       ///< Of a 401: makes a browser ask its user.
  /// Header lines that stand in place of `Cache-Control: no-store`, each with its CR LF; static.
  std::string_view other_fields;
  std::string body;
  /// The journal index whose durability this answer waits for, and its header Locker-Index. 0
  /// waits for nothing, and Locker-Index is the last durable index.
  std::uint64_t index = 0;
  /// The answer comes later: the rest of this one is ignored.
  std::unique_ptr<PendingAnswer> pending;
  /// Told when this answer is written, and destroyed in any case.
  std::unique_ptr<Delivery> delivery;
  /// Comes instead of the body; the connection is closed after it. A HEAD gets only the header.
  std::unique_ptr<Stream> stream;
  /// What was done, if Caller::is_audited; null: nothing that the audit log tells of.
  std::unique_ptr<AuditNote> audit;
};

/// Who decides what a request gets. Called from any thread, must not block.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  /// Fills in `response`, which comes in as a fresh one but for its body's capacity.
  virtual void answer(const Request& request, Response& response) = 0;
  /// The same of a request whose body is not there yet. True: it is not needed for the answer,
  /// which is filled in, and never with `pending` or `stream`. False: nothing was done.
  [[nodiscard]] virtual bool answer_early(const Request& /*request*/, Response& /*response*/) {
    return false;
  }
};

}  // namespace locker::server
