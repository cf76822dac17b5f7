// Tests of compact() with records of all kinds: a snapshot is equivalent to its records.

#include "persistence/compaction.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/lock_table.hpp"
#include "persistence/segment_format.hpp"
#include "persistence/snapshot_reader.hpp"
#include "tests/support/simulated_disk.hpp"

namespace locker::persistence {
namespace {

constexpr const char* directory = "store";
constexpr std::uint8_t tokens = 5;  // so few that each opens many leases, one after the other

core::Token token_of(std::uint64_t number) {
  core::Token token;
  token.bytes.fill(0xff);
  token.bytes[0] = static_cast<std::uint8_t>(number);
  return token;
}

std::string name_of(core::LockId id) {
  return std::to_string(id.fence) + "." + std::to_string(id.position);
}

/// Describes everything in a table, one item per line.
std::string picture(const core::LockTable& table) {
  std::string picture;
  table.for_each_lock([&](const core::HeldLock& held) {
    const auto lease = table.lease_of(held);
    picture += "lock " + name_of(held.id) +
               (held.is_cooling ? " cooling" : " of " + std::to_string(lease->token.bytes[0]));
    const core::Path path = table.path_of(held);
    for (const std::string_view segment : path.view()) {
      picture.append(" /").append(segment);
    }
    picture += held.shape.mode == core::Mode::shared ? " shared" : " exclusive";
    picture += held.shape.lock_parents ? "" : " -parents";
    picture += held.shape.lock_children ? "" : " -children";
    picture.append(" '").append(held.owner).append("' '").append(table.meta_of(held));
    picture += "' delay " + std::to_string(table.lock_delay_of(held).count()) + '\n';
  });
  std::size_t leases = 0;
  for (std::uint8_t number = 0; number < tokens; ++number) {
    const auto lease = table.find_lease_of(token_of(number));
    if (!lease) continue;
    ++leases;
    picture += "lease " + std::to_string(number) + " '" + std::string{lease->owner} + "' ttl " +
               std::to_string(lease->ttl.count()) + " opened " + name_of(lease->opened) + '\n';
  }
  EXPECT_EQ(leases, table.lease_count());
  return picture;
}

/// Produces records as Arbiter does, and keeps the state that they describe.
class Records {
 public:
  explicit Records(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] std::uint64_t random() { return random_(); }
  [[nodiscard]] const core::LockTable& table() const { return table_; }
  /// The highest fence that a record gave out.
  [[nodiscard]] core::Fence fence_given() const { return fence_given_; }
  /// The records made since the previous take(), encoded.
  struct Bytes {
    std::string bytes;
    std::uint32_t count = 0;
  };
  [[nodiscard]] Bytes take() { return std::exchange(made_, {}); }

  void make_one() {
    switch (random_() % 8) {
      case 0:
        return open_lease(random_token(), random_ttl());
      case 1:
        return change_ttl(random_token(), random_ttl());
      case 2:
      case 3:
      case 4:
        return end_something();
      default:
        return grant(random_token(), random_ttl(), 1 + random_() % 3);
    }
  }

  /// The TTL applies if the grant opens a lease.
  void grant(const core::Token& token, core::Milliseconds ttl, std::uint64_t count) {
    const core::Fence fence = take_fence();
    for (std::uint16_t position = 0; position < count; ++position) {
      core::Path path;
      for (std::uint64_t depth = random_() % 3; depth > 0; --depth) {
        ASSERT_EQ(path.push_back(random_() % 2 == 0 ? "a" : "b"), core::Path::Push::ok);
      }
      if (!table_.held_by(token, path)) grant_at(token, ttl, {fence, position}, path, any_shape());
    }
  }
  void open_lease(const core::Token& token, core::Milliseconds ttl) {
    if (table_.find_lease_of(token)) return;
    make(core::LeaseOpened{token, {take_fence(), 0}, any_owner(), ttl});
  }
  void change_ttl(const core::Token& token, core::Milliseconds ttl) {
    if (table_.find_lease_of(token)) make(core::TtlChanged{token, ttl});
  }
  void end_all_of(const core::Token& token, core::End reason) {
    while (const auto lease = table_.find_lease_of(token)) {
      core::LockId id = lease->opened;
      table_.for_each_lock_of(*lease, [&](const core::HeldLock& held) {
        id = held.id;
        return false;
      });
      make(core::Ended{token, id, reason});
    }
  }

 private:
  [[nodiscard]] core::Token random_token() { return token_of(random_() % tokens); }
  [[nodiscard]] core::Milliseconds random_ttl() {
    static constexpr std::array<std::uint32_t, 4> all{0, 5'000, 60'000, 3'600'000};
    return core::Milliseconds{all[random_() % all.size()]};
  }
  [[nodiscard]] core::Shape any_shape() {
    const core::Mode mode = random_() % 2 == 0 ? core::Mode::exclusive : core::Mode::shared;
    const bool lock_parents = random_() % 2 == 0;
    return {mode, lock_parents, random_() % 2 == 0};
  }
  [[nodiscard]] std::string_view any_owner() { return random_() % 2 == 0 ? "" : "somebody"; }
  [[nodiscard]] core::Fence take_fence() { return last_fence_ += 1 + random_() % 3; }

  void grant_at(const core::Token& token, core::Milliseconds ttl, core::LockId id,
                core::PathView path, const core::Shape& shape) {
    const auto lease = table_.find_lease_of(token);
    const std::string owner{lease ? lease->owner : any_owner()};
    const core::Milliseconds delay{random_() % 2 == 0 ? 0U : 700U};
    const std::string meta(random_() % 2 == 0 ? 0 : 10, 'm');
    make(
        core::Granted{token, id, shape, owner, path, lease ? lease->ttl : ttl, delay, meta, false});
  }

  void end_something() {
    std::vector<core::HeldLock> locks;
    table_.for_each_lock([&](const core::HeldLock& held) { locks.push_back(held); });
    if (locks.empty() || random_() % 8 == 0) return end_all_of(random_token(), any_end());
    const core::HeldLock held = locks[random_() % locks.size()];
    if (held.is_cooling) {
      return make(
          core::Ended{{}, held.id, random_() % 4 == 0 ? core::End::forced : core::End::cooled});
    }
    const core::Token token = table_.token_of(held);
    if (random_() % 4 == 0) return change_mode(token, held);
    const core::End reason = any_end();
    if (reason != core::End::released && table_.lock_delay_of(held).count() != 0) {
      return make(core::Cooling{token, held.id, reason});
    }
    make(core::Ended{token, held.id, reason});
  }
  void change_mode(const core::Token& token, const core::HeldLock& held) {
    const core::Path path = table_.path_of(held);
    core::Shape shape = held.shape;
    shape.mode = shape.mode == core::Mode::shared ? core::Mode::exclusive : core::Mode::shared;
    make(core::Ended{token, held.id, core::End::changed});
    grant_at(token, random_ttl(), {take_fence(), 0}, path, shape);
  }
  [[nodiscard]] core::End any_end() {
    static constexpr std::array<core::End, 3> all{core::End::released, core::End::expired,
                                                  core::End::forced};
    return all[random_() % all.size()];
  }

  void make(const core::Record& record) {
    core::append_record(record, made_.bytes);
    ++made_.count;
    fence_given_ = std::max(fence_given_, core::fence_given_by(record));
    ASSERT_TRUE(table_.try_apply(record));
  }

  std::mt19937_64 random_;
  core::LockTable table_;
  core::Fence last_fence_ = 0;
  core::Fence fence_given_ = 0;
  Bytes made_;
};

class Compaction : public testing::Test {
 protected:
  Compaction() { EXPECT_TRUE(disk_.make_directory(directory)); }

  /// Seals a segment of the records that `make` makes, one frame each; does nothing if it makes
  /// none.
  void seal_segment(Records& records, std::uint64_t frames, const std::function<void()>& make) {
    SegmentHeader header{input_.store, records.random(), last_index_ + 1, previous_};
    std::string bytes = encode(header);
    for (; frames > 0; --frames) {
      make();
      const Records::Bytes made = records.take();
      if (made.count == 0) continue;
      previous_ = append_frame({last_index_ + 1, made.count, last_index_, previous_, 0, made.bytes},
                               header.salt, bytes);
      last_index_ += made.count;
    }
    if (last_index_ < header.first_index) return;
    ASSERT_LE(bytes.size(), segment_bytes_min);
    bytes.resize(segment_bytes_min);
    input_.segments.push_back({header.first_index, last_index_, bytes.size()});
    disk_.put(in_directory(directory, segment_name(header.first_index)), std::move(bytes));
  }

  /// Makes the next snapshot and checks that it is equivalent to the records.
  void compact_and_check(Records& records) {
    if (input_.segments.empty()) return;
    input_.salt = records.random();
    const auto done = compact(disk_, directory, input_, Pace{});
    ASSERT_TRUE(done) << done.error().message;
    input_.snapshot = last_index_;
    input_.segments.clear();
    auto snapshot = SnapshotReader::open(disk_, in_directory(directory, snapshot_name(last_index_)),
                                         last_index_, input_.store);
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    core::LockTable found;
    const auto read =
        snapshot->read([&](const core::Record& record) { return found.try_apply(record); });
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(picture(found), picture(records.table()));
    ASSERT_EQ(snapshot->header().last_fence, records.fence_given());
  }

  test::SimulatedDisk disk_;
  CompactionInput input_;
  Index last_index_ = 0;
  std::uint32_t previous_ = 0;
};

TEST_F(Compaction, ATokenUsedAgainHasTheTtlOfItsNewLease) {
  Records records{1};
  seal_segment(records, 1, [&] {
    records.grant(token_of(1), core::Milliseconds{60'000}, 1);
    records.change_ttl(token_of(1), core::Milliseconds{5'000});
    records.end_all_of(token_of(1), core::End::released);
    records.grant(token_of(1), core::Milliseconds{3'600'000}, 1);
  });
  ASSERT_NE(picture(records.table()).find("ttl 3600000"), std::string::npos);
  compact_and_check(records);
  compact_and_check(records);
}

TEST_F(Compaction, ALargerOneThanTheJournalCanSpareIsNotMade) {
  Records records{1};
  seal_segment(records, 1, [&] { records.grant(token_of(1), core::Milliseconds{60'000}, 1); });
  input_.bytes_max = snapshot_header_bytes + snapshot_block_bytes - 1;
  const auto done = compact(disk_, directory, input_, Pace{});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, OpenFault::Kind::disk_full);
  EXPECT_FALSE(disk_.has(in_directory(directory, snapshot_name(last_index_))));
  ++input_.bytes_max;
  EXPECT_TRUE(compact(disk_, directory, input_, Pace{}));
}

TEST_F(Compaction, NothingIsPublishedInADirectoryThatLostItsName) {
  Records records{1};
  seal_segment(records, 1, [&] { records.grant(token_of(1), core::Milliseconds{60'000}, 1); });
  ASSERT_TRUE(disk_.hold_directory(directory));
  disk_.move_directory(directory, "moved");
  const auto done = compact(disk_, directory, input_, Pace{});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, OpenFault::Kind::io) << "the process would go on";
  EXPECT_NE(done.error().message.find("moved"), std::string::npos) << done.error().message;
  EXPECT_FALSE(disk_.has(in_directory("moved", snapshot_name(last_index_))));
  EXPECT_FALSE(disk_.has(in_directory(directory, snapshot_name(last_index_))));
}

TEST_F(Compaction, StepByStepItSaysWhatAllRecordsSay) {
  const char* const given = std::getenv("LOCKER_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const std::uint64_t count = given != nullptr ? 1 : 100;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("replay with LOCKER_SEED=" + std::to_string(seed));
    disk_ = {};
    ASSERT_TRUE(disk_.make_directory(directory));
    input_ = {};
    last_index_ = 0;
    previous_ = 0;
    Records records{seed};
    for (std::uint64_t steps = 2 + records.random() % 6; steps > 0; --steps) {
      for (std::uint64_t segments = 1 + records.random() % 3; segments > 0; --segments) {
        seal_segment(records, 1 + records.random() % 10, [&] {
          for (std::uint64_t some = 1 + records.random() % 5; some > 0; --some) records.make_one();
        });
      }
      compact_and_check(records);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace locker::persistence
