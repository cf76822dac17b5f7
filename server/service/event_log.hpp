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

/// The last events, and who follows them. An event is shown when what it tells is durable.
/// Thread-safe; its mutex is taken inside GroupCommit's and never the other way round.
class EventLog {
 public:
  static constexpr std::size_t capacity = 65'536;
  /// What the texts of all of them may take. Fewer are kept where they are long.
  static constexpr std::size_t text_bytes_max = std::size_t{16} << 20U;

  /// `index`: of the last record there is. What happened up to then is not known here.
  /// `first_number`: higher by two than all numbers of events before, so that none gets the name of
  /// another, nor does the start itself, which is named as if it were the event before the first.
  EventLog(std::size_t readers_max, Index index, std::uint64_t first_number)
      : readers_max_(readers_max),
        start_index_(index),
        first_number_(first_number),
        durable_(index) {}
  /// Under GroupCommit's mutex, so that events come in the order of decisions.
  void add(const core::Event& event, Index index);
  /// Everything up to `durable` may be shown.
  void publish(Index durable);

  /// Follows the events at and below `packed_prefix`; from now on, or from behind the event
  /// `last_event_id` when that is not empty. It begins with an id that names this place, so that
  /// who breaks off before the first event can go on from there as well. Null: there are as many
  /// readers as may be.
  [[nodiscard]] std::unique_ptr<Stream> follow(std::string packed_prefix,
                                               std::string_view last_event_id);
  [[nodiscard]] std::size_t readers() const;

 private:
  class Reader;
  /// Names an event for ever: the journal's index, and a number that rises by one from event to
  /// event. The index alone does not: what waits and leaves is not in the journal, and where its
  /// end was lost, or a backup was put back, other events have the same indices again.
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
  std::deque<Entry> ring_;      // grows up to its capacity, and copies nothing when it does
  Place oldest_ = 0;            // that is kept
  Place end_ = 0;               // behind the newest event
  Place shown_ = 0;             // behind the newest that may be shown
  std::size_t text_bytes_ = 0;  // of the ring, beyond what its entries have in themselves
  Index durable_;
  std::set<Reader*> readers_;
};

}  // namespace locker::server
