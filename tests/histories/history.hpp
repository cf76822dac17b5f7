#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace locker::histories {

// What clients asked and what they were answered, and how that lies in a file: a JSON object a
// line. Nothing here comes from the server's code: paths are text, as replies spell them.

using Index = std::uint64_t;
using Fence = std::uint64_t;
/// Of CLOCK_MONOTONIC, which all processes of a machine share.
using Nanoseconds = std::int64_t;

/// How a lock clashes: shared or exclusive, and whether it reaches up and down the tree.
struct Shape {
  bool is_shared = false;
  bool lock_parents = true;
  bool lock_children = true;
  friend bool operator==(const Shape&, const Shape&) = default;
};

struct Wanted {
  std::string path;
  Shape shape;
  friend bool operator==(const Wanted&, const Wanted&) = default;
};

enum class Kind : std::uint8_t {
  canhaz,
  nowant,
  dohaz,
  acquire,
  several,
  release,
  release_all,
  renew,
  open_lease,
  look,
  look_at_lease,
  force,
};
[[nodiscard]] std::string_view name_of(Kind kind);

/// A line of a list in a reply: a lock, or somebody who waits for one.
struct Listed {
  enum class State : std::uint8_t { held, cooling, waiting };
  std::string path;
  std::string owner;
  Shape shape;  ///< In `blocked_by` the mode alone.
  Fence fence = 0;
  State state = State::held;
  std::int64_t ttl_ms = 0;  ///< Zero: none, or not told.
  std::optional<std::int64_t> expires_in_ms;
  std::string meta;
};

/// What a reply's body says; what it does not say is as it is here.
struct Reply {
  bool ok = false;
  std::optional<std::string> locked_by;
  std::string error;
  std::string reason;
  std::string token;
  std::string owner;
  Fence fence = 0;
  std::int64_t ttl_ms = 0;
  std::optional<std::int64_t> expires_in_ms;
  std::int64_t waited_ms = 0;
  std::vector<Listed> locks;  ///< That were granted, or that a lease holds.
  std::vector<Listed> holders;
  std::vector<Listed> covered_by;
  std::vector<Listed> waiters;
  std::vector<Listed> blocked_by;
  bool is_free = false;
  std::size_t waiter_count = 0;
  std::size_t count = 0;  ///< Of locks that were released, forced, renewed.
  struct CycleStep {
    std::string owner;
    std::string waits_for;
    std::string blocked_by;  ///< Where the next one is in its way.
    Fence fence = 0;         ///< Of what that one holds there; zero: it waits.
  };
  std::vector<CycleStep> cycle;
};

/// Which locks a forced end is about; what is empty does not count.
struct ForceFilter {
  std::string path;
  std::string prefix;
  std::string owner;
  Fence fence = 0;
};

/// One request and its reply.
struct Operation {
  std::uint64_t line = 0;  ///< Of the file, from 1 on; set when it is read.
  Kind kind = Kind::dohaz;
  unsigned client = 0;
  unsigned attempt = 1;  ///< Higher: the same again, because the reply before was lost.
  std::string token;     ///< As it was sent; empty: none.
  /// A name for the lease that this is about; each lease has another. Empty: about none, or about a
  /// token that never had a lock.
  std::string owner;
  std::vector<Wanted> wanted;  ///< What an acquire wants; else the path that it is about, if any.
  std::size_t any = 0;         ///< How many of them; zero: all.
  std::optional<std::int64_t> ttl_ms;  ///< As it was sent.
  std::int64_t wait_ms = 0;
  std::int64_t lock_delay_ms = 0;
  std::string meta;
  ForceFilter filter;
  Nanoseconds sent = 0;    ///< Before its first byte left.
  Nanoseconds closed = 0;  ///< The connection was, by the client or because it broke; else zero.
  Nanoseconds got = 0;     ///< After the last byte of the reply came; zero: it never did.
  unsigned status = 0;
  Index index = 0;   ///< Locker-Index.
  std::string body;  ///< As it came. Empty after reading: `reply` has it.
  Reply reply;       ///< Set when it is read.

  [[nodiscard]] bool is_answered() const { return got != 0; }
  [[nodiscard]] bool is_acquire() const { return kind == Kind::acquire || kind == Kind::several; }
  [[nodiscard]] const std::string& path() const { return wanted.front().path; }
};

struct History {
  std::uint64_t seed = 0;
  std::int64_t canhaz_ttl_ms = 0;  ///< That the server gives to locks taken by canhaz; zero: none.
  std::vector<Operation> operations;
};

/// What was done to the server meanwhile.
struct ServerEvent {
  enum class Kind : std::uint8_t { killed, started, stopped, continued };
  Kind kind = Kind::started;
  Nanoseconds at = 0;
  Index index = 0;  ///< Of a start: at least what it found in its journal.
};

[[nodiscard]] std::string first_line_of(const History& history);
[[nodiscard]] std::string line_of(const Operation& operation);

/// Throw std::runtime_error when a line is not what they expect, with file and line.
[[nodiscard]] History read_history(const std::string& file);
[[nodiscard]] std::vector<ServerEvent> read_server_events(const std::string& file);
[[nodiscard]] Operation parse_operation(std::string_view line);
[[nodiscard]] Reply parse_reply(std::string_view body);

}  // namespace locker::histories
