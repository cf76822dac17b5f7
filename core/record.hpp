#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "core/lock.hpp"
#include "core/path.hpp"

namespace locker::core {

inline constexpr std::size_t owner_bytes_max = 255;
inline constexpr std::size_t meta_bytes_max = 4096;

// The records of the journal: decisions, not requests. Replay applies them without deciding again.
// A snapshot is the list of the openings (grants, opened leases) that have not ended.

/// A lock was granted. Opens the lease of this token if there is none yet, with this owner and TTL.
/// The views point into the bytes that were read.
struct Granted {
  Token token;
  LockId id;
  Shape shape;
  std::string_view owner;  ///< Empty when unknown; otherwise UTF-8, at most owner_bytes_max.
  PathView path;
  Milliseconds ttl{};         ///< The lease's; zero: held until it is released.
  Milliseconds lock_delay{};  ///< How long it cools when it ends by expiry or force.
  std::string_view meta{};    ///< UTF-8, at most meta_bytes_max.
  bool is_cooling = false;    ///< In a snapshot: its lease has lost it already.
  friend bool operator==(const Granted&, const Granted&) = default;
};

/// A lease was opened explicitly: it lives without locks, until it is ended by a record of its own.
struct LeaseOpened {
  Token token;
  LockId id;
  std::string_view owner;
  Milliseconds ttl{};
  friend bool operator==(const LeaseOpened&, const LeaseOpened&) = default;
};

/// Of a lease with so many locks that they do not expire all at once, once the first ones have. A
/// snapshot contains the others as if nothing had happened to the lease, but for this: with it the
/// lease does not live again after a restart. (One that a client gave this TTL ends then as well.)
inline constexpr Milliseconds expiring_ttl{1};

/// The lease's TTL has changed.
struct TtlChanged {
  Token token;
  Milliseconds ttl{};
  friend bool operator==(const TtlChanged&, const TtlChanged&) = default;
};

/// The lease has lost the lock, which goes on blocking for its lock-delay. A lease that was opened
/// by a grant ends with its last lock.
struct Cooling {
  Token token;
  LockId id;
  End reason = End::expired;  ///< Or forced.
  friend bool operator==(const Cooling&, const Cooling&) = default;
};

/// A lock or an opened lease ended. A lease that was opened by a grant ends with its last lock.
struct Ended {
  Token token;
  LockId id;
  End reason = End::released;
  friend bool operator==(const Ended&, const Ended&) = default;
};

using Record = std::variant<Granted, Ended, LeaseOpened, TtlChanged, Cooling>;

/// Returns the fence that the record assigns, or zero.
[[nodiscard]] Fence fence_given_by(const Record& record);

/// Appends the record's bytes; persistence/FORMAT.md defines the layout.
void append_record(const Record& record, std::string& out);

/// The size of the head that every record begins with; an end has nothing else.
inline constexpr std::size_t record_head_bytes = 28;
/// The most that a grant has after the head, besides its texts: the lengths of owner and path, and
/// the terms.
inline constexpr std::size_t grant_fields_bytes = 3 + 10;
/// The size of the longest possible record.
inline constexpr std::size_t record_bytes_max =
    record_head_bytes + grant_fields_bytes + owner_bytes_max + path_bytes_max + meta_bytes_max;

/// Reads records from bytes whose checksum was right. A record that cannot be read is therefore not
/// damage: a newer version wrote it (or there is a bug). `fault()` describes it.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}
  /// Returns false at the end and at the first unreadable record; `fault()` distinguishes the two.
  [[nodiscard]] bool next(Record& record);
  /// Null, or a description of the record that could not be read.
  [[nodiscard]] const char* fault() const { return fault_; }

 private:
  std::string_view rest_;
  const char* fault_ = nullptr;
};

}  // namespace locker::core
