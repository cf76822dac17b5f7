#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "core/arbiter_answers.hpp"
#include "server/request_handler.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// The most recent events, and the streams that follow them. An event is shown once the change that
/// it reports is durable. Thread-safe; its mutex is acquired inside GroupCommit's, never the other
/// way round.
class EventLog {
 public:
  static constexpr std::size_t capacity = 65'536;
  /// Bound on the text of all events together. When the texts are long, fewer events are kept.
  static constexpr std::size_t text_bytes_max = std::size_t{16} << 20U;

  /// `index` is that of the last record at the start; what happened up to it is not known here.
  /// `first_number` is at least two above the number of every earlier event, so that no id is used
  /// twice: neither by an event nor by the start itself, which is named like an event before the
  /// first.
  EventLog(std::size_t readers_max, Index index, std::uint64_t first_number)
      : readers_max_(readers_max),
        start_index_(index),
        first_number_(first_number),
        durable_(index) {}
  /// Call under GroupCommit's mutex, so that events are in the order of the decisions.
  void add(const core::Event& event, Index index);
  /// Shows everything up to `durable`.
  void publish(Index durable);

  /// Returns a stream of the events at and below `packed_prefix`: from now on, or, if
  /// `last_event_id` is not empty, from the one after that event. The stream begins with an id for
  /// this position, so that a client which disconnects before the first event can resume as well.
  /// Null: the limit of readers is reached.
  [[nodiscard]] std::unique_ptr<Stream> follow(std::string packed_prefix,
                                               std::string_view last_event_id);
  [[nodiscard]] std::size_t readers() const;

 private:
  class Reader;
  /// Identifies an event for ever: the journal's index, and a number that rises by one per event.
  /// The index alone is not unique: the journal does not record that a request waits or leaves, and
  /// after the journal lost its end, or a backup was restored, other events get the same indices
  /// again.
  struct Id {
    Index index = 0;
    std::uint64_t number = 0;
    friend bool operator==(const Id&, const Id&) = default;
  };
  struct Entry {
    Id id;
    core::EventKind kind = core::EventKind::granted;
    core::Shape shape;
    core::Milliseconds cooling{};
    core::Fence fence = 0;
    std::string packed_path;
    std::string owner;

    [[nodiscard]] std::size_t text_bytes() const {
      return packed_path.capacity() + owner.capacity();
    }
  };
  using Place = std::uint64_t;  // counts all events since the start

  [[nodiscard]] const Entry& at(Place place) const { return ring_[place % capacity]; }
  void forget_oldest();
  void show_until_durable();
  [[nodiscard]] bool find_place(std::string_view last_event_id, Place& place) const;
  [[nodiscard]] std::string place_name(Place place) const;
  static void append(const Id& id, std::string& out);
  static void append(const Entry& entry, std::string& out);

  const std::size_t readers_max_;
  const Index start_index_;
  const std::uint64_t first_number_;  // of the first event since the start
  mutable std::mutex mutex_;
  std::deque<Entry> ring_;      // grows up to its capacity, without copying entries
  Place oldest_ = 0;            // oldest event that is kept
  Place end_ = 0;               // one past the newest event
  Place shown_ = 0;             // one past the newest event that may be shown
  std::size_t text_bytes_ = 0;  // of the ring's strings, beyond what they store inline
  Index durable_;
  std::set<Reader*> readers_;
};

}  // namespace locker::server
