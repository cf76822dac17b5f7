// What lists and refusals show: all blockers, all locks of a lease, cursors that stay valid while
// locks come, go, change and cool. A flat list has the expected results.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/lock_cursor.hpp"
#include "core/lock_table.hpp"
#include "tests/core/oracle_rules.hpp"

namespace locker::core {
namespace {

class TableWithList {
 public:
  explicit TableWithList(std::uint64_t seed) : random_(seed), table_(seed) {}

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) {
      take_step();
      compare_cursors();
      if (step % 8 == 0) compare_all();
    }
    while (!held_.empty()) end(held_.begin()->first);
    EXPECT_EQ(table_.lock_count(), 0U);
    EXPECT_EQ(table_.node_count(), 0U);
    EXPECT_FALSE(table_.has_deadlines());
  }

 private:
  static constexpr std::uint64_t tokens = 5;
  struct Held {
    Token token;
    Shape shape;
    std::string path;  // packed
    std::string owner;
    std::string meta;
    Milliseconds lock_delay{};
    bool is_cooling = false;
  };
  struct Cursor {
    std::unique_ptr<LockCursor> tested;  // null: the next page is not requested
    std::string prefix;
    LockId last;  // the last lock that it has shown, or was moved past
  };

  static Token token_of(std::uint64_t number) {
    Token token;
    token.bytes[3] = static_cast<std::uint8_t>(number);
    token.bytes[9] = 1;
    return token;
  }
  Path random_path() {
    static const std::string long_name(200, 'n');
    Path path;
    // Deep paths: there, locks of different depths have blocks of one size.
    const bool is_deep = random_() % 4 == 0;
    for (std::size_t depth = is_deep ? 28 + random_() % 4 : random_() % 5; depth > 0; --depth) {
      const std::string_view name = std::array<std::string_view, 4>{
          "a", "b", "twelve-bytes", long_name}[is_deep ? depth / 31 : random_() % 4];
      EXPECT_EQ(path.push_back(name), Path::Push::ok);
    }
    return path;
  }
  Shape random_shape() {
    return {random_() % 3 == 0 ? Mode::exclusive : Mode::shared, random_() % 3 != 0,
            random_() % 3 != 0};
  }
  static bool is_under(const std::string& prefix, const std::string& path) {
    return prefix == path || PathView{prefix}.is_ancestor_of(PathView{path});
  }

  void take_step() {
    const auto dice = random_() % 20;
    if (dice < 10) return grant();
    if (dice < 11) return open_cursor();
    if (held_.empty()) return;
    auto at = held_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % held_.size()));
    if (dice < 13) return change(at->first);
    if (dice < 15) return cool(at->first);
    end(at->first);
  }

  [[nodiscard]] std::vector<LockId> in_the_way(const AcquireRequest& request) const {
    std::vector<LockId> ids;
    for (const auto& [id, held] : held_) {
      const PathView path{held.path};
      if (!held.is_cooling && request.token && held.token == *request.token) continue;
      const bool clashes = request.rule == ClashRule::symmetric
                               ? oracle::clash(path, held.shape, request.path, request.shape)
                               : !oracle::are_both_shared(held.shape, request.shape) &&
                                     oracle::blocks(path, held.shape, request.path);
      if (clashes) ids.push_back(id);
    }
    return ids;
  }

  /// The locks at exactly the path, and those in the way elsewhere: each is shown once.
  void check_split(const AcquireRequest& request, const std::vector<LockId>& in_the_way) const {
    std::vector<LockId> at_path;
    table_.for_each_lock_at(request.path, [&](const HeldLock& held) {
      at_path.push_back(held.id);
      return true;
    });
    std::sort(at_path.begin(), at_path.end());
    std::vector<LockId> expected;
    for (const auto& [id, held] : held_) {
      if (PathView{held.path} == request.path) expected.push_back(id);
    }
    ASSERT_EQ(at_path, expected);
    std::vector<LockId> elsewhere;
    table_.for_each_blocker(
        request,
        [&](const HeldLock& held) {
          elsewhere.push_back(held.id);
          return true;
        },
        false);
    std::sort(elsewhere.begin(), elsewhere.end());
    expected.clear();
    std::set_difference(in_the_way.begin(), in_the_way.end(), at_path.begin(), at_path.end(),
                        std::back_inserter(expected));
    ASSERT_EQ(elsewhere, expected);
  }

  void grant() {
    const Path path = random_path();
    const Token token = token_of(random_() % tokens);
    const AcquireRequest request{
        .path = path, .shape = random_shape(), .rule = ClashRule::symmetric, .token = token};
    std::vector<LockId> shown;
    std::size_t distance = 0;
    table_.for_each_blocker(request, [&](const HeldLock& held) {
      const std::size_t depth = table_.path_of(held).depth();
      // Those at and above the path, nearest first, then those below.
      const std::size_t its = depth <= path.depth() ? path.depth() - depth : segments_max + 1;
      EXPECT_GE(its, distance);
      distance = its;
      shown.push_back(held.id);
      return true;
    });
    std::sort(shown.begin(), shown.end());
    ASSERT_EQ(shown, in_the_way(request));
    check_split(request, shown);
    ASSERT_EQ(table_.blocker(request).has_value(), !shown.empty());
    if (!shown.empty() || table_.held_by(token, path)) return;
    const auto lease = table_.find_lease_of(token);
    const std::string owner = lease ? std::string{lease->owner} : random_text();
    const std::string meta = random_() % 4 == 0 ? random_text() : "";
    const Milliseconds lock_delay{random_() % 4 == 0 ? 0U : 1'000U};
    const Granted granted{token, {++fence_, 0}, request.shape, owner, path, {}, lock_delay, meta};
    table_.apply(granted);
    const std::string packed{path.view().packed()};
    held_[granted.id] = {token, request.shape, packed, owner, meta, lock_delay};
  }
  std::string random_text() { return std::string(random_() % 40, 'o'); }

  void change(LockId id) {
    const Held held = held_[id];
    if (held.is_cooling) return;
    Held other = held;
    other.shape.mode = Mode::shared;
    const AcquireRequest request{
        .path = PathView{held.path}, .shape = other.shape, .token = held.token};
    if (table_.blocker(request)) return;
    table_.apply(Ended{held.token, id, End::changed});
    held_.erase(id);
    const LockId changed{++fence_, 0};
    table_.apply(Granted{held.token,
                         changed,
                         other.shape,
                         held.owner,
                         PathView{held.path},
                         {},
                         held.lock_delay,
                         held.meta});
    held_[changed] = other;
  }

  void cool(LockId id) {
    Held& held = held_[id];
    if (held.is_cooling || held.lock_delay.count() == 0) return;
    table_.apply(Cooling{held.token, id});
    held.is_cooling = true;
  }

  void end(LockId id) {
    const Held held = held_[id];
    table_.apply(Ended{held.is_cooling ? Token{} : held.token, id});
    held_.erase(id);
  }

  void open_cursor() {
    const std::size_t slot = random_() % cursors_.size();
    const Path prefix = random_path();
    cursors_[slot] = {
        std::make_unique<LockCursor>(table_, prefix), std::string{prefix.view().packed()}, {}};
    cursors_[slot].tested->keep();
  }

  void compare_cursors() {
    const std::size_t slot = random_() % cursors_.size();
    Cursor& cursor = cursors_[slot];
    if (cursor.tested == nullptr || random_() % 2 == 0) return;
    if (random_() % 8 == 0) {
      const LockId behind{std::min(cursor.last.fence + random_() % 4, fence_), 0};
      for (std::size_t steps = 1; !cursor.tested->skip(behind, steps); steps = 1) {
      }
      cursor.last = std::max(cursor.last, behind);
    }
    const auto expected =
        std::find_if(held_.upper_bound(cursor.last), held_.end(),
                     [&](const auto& its) { return is_under(cursor.prefix, its.second.path); });
    const auto shown = cursor.tested->next();
    if (random_() % 4 == 0) {
      cursor.tested.reset();
    } else {
      cursor.tested->keep();
    }
    ASSERT_EQ(shown.has_value(), expected != held_.end());
    if (!shown) return;  // further locks may be added
    ASSERT_EQ(shown->id, expected->first);
    cursor.last = shown->id;
  }

  void compare_all() {
    table_.check_invariants();
    std::map<Token, std::vector<LockId>> of_leases;
    std::vector<LockId> shown;
    table_.for_each_lock([&](const HeldLock& its) {
      shown.push_back(its.id);
      const Held& held = held_[its.id];
      ASSERT_EQ(its.shape, held.shape);
      ASSERT_EQ(its.is_cooling, held.is_cooling);
      ASSERT_EQ(its.owner, held.owner);
      ASSERT_EQ(table_.meta_of(its), held.meta);
      ASSERT_EQ(table_.lock_delay_of(its), held.lock_delay);
      ASSERT_EQ(table_.path_of(its).view().packed(), held.path);
    });
    std::vector<LockId> expected;
    for (const auto& [id, held] : held_) {
      expected.push_back(id);
      if (!held.is_cooling) of_leases[held.token].push_back(id);
    }
    ASSERT_EQ(shown, expected);
    ASSERT_EQ(table_.lease_count(), of_leases.size());
    for (const auto& [token, ids] : of_leases) {
      std::vector<LockId> its;
      table_.for_each_lock_of(*table_.find_lease_of(token), [&](const HeldLock& held) {
        its.push_back(held.id);
        return true;
      });
      ASSERT_EQ(its, ids);
      table_.for_each_newest_lock_of(*table_.find_lease_of(token), [&](const HeldLock& held) {
        EXPECT_EQ(held.id, its.back());
        its.pop_back();
        return !its.empty();
      });
      ASSERT_TRUE(its.empty());
    }
    compare_behind(of_leases);
  }

  /// The locks that each lease has after any id, its own or that of another.
  void compare_behind(const std::map<Token, std::vector<LockId>>& of_leases) {
    for (const auto& [token, ids] : of_leases) {
      const LivingLease lease = *table_.find_lease_of(token);
      for (const auto& [after, held] : held_) {
        std::vector<LockId> behind;
        const auto add = [&](const HeldLock& its) {
          behind.push_back(its.id);
          return true;
        };
        const auto its_own = table_.held_by(lease, PathView{held.path});
        if (its_own && its_own->id == after && random_() % 2 == 0) {
          table_.for_each_lock_behind(*its_own, add);
        } else {
          table_.for_each_lock_of(lease, add, after);
        }
        const auto expected = std::upper_bound(ids.begin(), ids.end(), after);
        ASSERT_TRUE(std::equal(behind.begin(), behind.end(), expected, ids.end()));
      }
    }
  }

  std::mt19937_64 random_;
  LockTable table_;
  Fence fence_ = 1'000;
  std::map<LockId, Held> held_;
  std::array<Cursor, 3> cursors_;
};

TEST(LockTableListsAgainstOracle, ShowWhatAFlatListShowsOnRandomCommands) {
  const char* const given = std::getenv("LOCKER_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const std::uint64_t count = given != nullptr ? 1 : 1'000;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("replay with LOCKER_SEED=" + std::to_string(seed));
    TableWithList{seed}.run(200);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace locker::core
