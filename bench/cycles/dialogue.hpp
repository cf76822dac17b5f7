#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace locker::bench {

/// What a client asks of a lock server, whatever the words of the server's protocol.
enum class Verb {
  acquire,          ///< Answered yes or no at once.
  acquire_waiting,  ///< Answered yes when it is granted.
  release,
  query,
  renew,
};

/// What all connections do, over and over. The words are those of the option --work.
enum class Work {
  pairs,      ///< Acquire and release a lock of one's own.
  contended,  ///< All want the same lock, and ask again when it is refused.
  hand_over,  ///< All want the same lock and wait for it.
  query,
  renewal,
  refusal,  ///< All ask for a lock that one more connection holds.
};

/// The lock that all connections want. Of its own for each work, because Redis keeps another type
/// of value for those who wait.
inline constexpr std::string_view contended_name = "contended";
inline constexpr std::string_view waited_for_name = "waited-for";
inline constexpr std::string_view refused_name = "refused";

/// A lock that a connection takes, and what it needs to give it back.
struct Lane {
  std::string name;   ///< A path without the slash before it.
  std::string token;  ///< Set by the dialogue when the server chooses it.
  Verb verb = Verb::acquire;
};

/// What stands at the front of the bytes that a server sent.
struct Heard {
  enum class What {
    unfinished,  ///< Not all of it is there.
    aside,       ///< No answer, or not the last part of one; take it off and go on.
    yes,
    no,
  };
  What what = What::unfinished;
  std::size_t size = 0;
};

/// The server answered something that no server in order answers; the text has its words.
struct Unexpected : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One connection's side of a server's protocol. Knows no sockets.
class Dialogue {
 public:
  virtual ~Dialogue() = default;

  /// Appends what a connection begins with; nothing when it may begin to ask at once.
  virtual void greet(std::string& /*out*/) {}
  /// Reads an answer to the greeting; `yes` when the connection may begin to ask. What has to be
  /// said in reply is appended.
  [[nodiscard]] virtual Heard hear_greeting(std::string_view /*bytes*/, std::string& /*out*/) {
    return {Heard::What::yes, 0};
  }

  /// Appends the request of the lane's verb.
  virtual void ask(const Lane& lane, std::string& out) = 0;
  /// Reads at the front of what came. `lane` is the one whose request is the oldest that has no
  /// answer. What has to be said in reply is appended.
  [[nodiscard]] virtual Heard hear(std::string_view bytes, Lane& lane, std::string& out) = 0;

  /// Appends what a connection ends with.
  virtual void part(std::string& /*out*/) {}
  /// Whether several requests may be under way, answered in their order.
  [[nodiscard]] virtual bool can_pipeline() const { return true; }
};

/// Who speaks: connections are numbered from 0.
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

/// The dialogue with the kind of server that the command line names. Throws std::invalid_argument.
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
