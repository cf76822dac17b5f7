#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace locker::bench {

/// A client's request to a lock server, in any protocol.
enum class Verb {
  acquire,          ///< Answered yes or no immediately.
  acquire_waiting,  ///< Answered yes when it is granted.
  release,
  query,
  renew,
};

/// What all connections do, over and over. The names are those of the option --work.
enum class Work {
  pairs,      ///< Acquire and release a lock of one's own.
  contended,  ///< All want the same lock, and retry when refused.
  hand_over,  ///< All want the same lock and wait for it.
  query,
  renewal,
  refusal,  ///< All request a lock that another connection holds.
};

/// The lock that all connections want. Each work has its own, because Redis keeps a different type
/// of value for waiters.
inline constexpr std::string_view contended_name = "contended";
inline constexpr std::string_view waited_for_name = "waited-for";
inline constexpr std::string_view refused_name = "refused";

/// A lock that a connection acquires, and what it needs to release it.
struct Lane {
  std::string name;   ///< A path without the leading slash.
  std::string token;  ///< Set by the dialogue if the server chooses it.
  Verb verb = Verb::acquire;
};

/// What was found at the front of the bytes from a server.
struct Heard {
  enum class What {
    unfinished,  ///< Incomplete.
    aside,       ///< Not an answer, or not its last part; remove it and continue.
    yes,
    no,
  };
  What what = What::unfinished;
  std::size_t size = 0;
};

/// The server's answer was not one of a working server; the text has its words.
struct Unexpected : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One connection's side of a server's protocol. Does not know sockets.
class Dialogue {
 public:
  virtual ~Dialogue() = default;

  /// Appends what a connection begins with; nothing if it may send requests immediately.
  virtual void greet(std::string& /*out*/) {}
  /// Reads an answer to the greeting; `yes` if the connection may send requests. Appends any reply
  /// that the protocol requires.
  [[nodiscard]] virtual Heard hear_greeting(std::string_view /*bytes*/, std::string& /*out*/) {
    return {Heard::What::yes, 0};
  }

  /// Appends the request of the lane's verb.
  virtual void ask(const Lane& lane, std::string& out) = 0;
  /// Reads the front of the bytes received. `lane` is the one with the oldest unanswered request.
  /// Appends any reply that the protocol requires.
  [[nodiscard]] virtual Heard hear(std::string_view bytes, Lane& lane, std::string& out) = 0;

  /// Appends what a connection ends with.
  virtual void part(std::string& /*out*/) {}
  /// Whether several requests may be in flight, answered in order.
  [[nodiscard]] virtual bool can_pipeline() const { return true; }
};

/// A connection, numbered from 0, and its work.
struct Speaker {
  std::size_t number = 0;
  Work work = Work::pairs;
};

[[nodiscard]] std::unique_ptr<Dialogue> make_locker_dialogue(bool only_v1);
[[nodiscard]] std::unique_ptr<Dialogue> make_redis_dialogue(const Speaker& speaker);
[[nodiscard]] std::unique_ptr<Dialogue> make_etcd_dialogue(const Speaker& speaker);
[[nodiscard]] std::unique_ptr<Dialogue> make_zookeeper_dialogue(const Speaker& speaker);
[[nodiscard]] std::unique_ptr<Dialogue> make_postgres_dialogue(const Speaker& speaker,
                                                               bool advisory);

/// Returns the dialogue with the kind of server that the command line names. Throws
/// std::invalid_argument.
[[nodiscard]] inline std::unique_ptr<Dialogue> make_dialogue(const std::string& server,
                                                             const Speaker& speaker) {
  if (server == "locker") return make_locker_dialogue(false);
  if (server == "locker-v1") return make_locker_dialogue(true);
  if (server == "redis") return make_redis_dialogue(speaker);
  if (server == "etcd") return make_etcd_dialogue(speaker);
  if (server == "zookeeper") return make_zookeeper_dialogue(speaker);
  if (server == "postgres") return make_postgres_dialogue(speaker, false);
  if (server == "postgres-advisory") return make_postgres_dialogue(speaker, true);
  throw std::invalid_argument(server + " is none of the servers");
}

}  // namespace locker::bench
