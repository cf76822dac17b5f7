#include "core/lock_table.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "core/lock_cursor.hpp"
#include "core/url_path.hpp"

namespace locker::core {
namespace {

class LockTableTest : public testing::Test {
 protected:
  static Path path(std::string_view text) {
    Path parsed;
    EXPECT_FALSE(parse_url_path(text, parsed));
    return parsed;
  }
  static Token token(int number) {
    Token made;
    made.bytes[0] = static_cast<std::uint8_t>(number);
    made.bytes[1] = static_cast<std::uint8_t>(number >> 8);
    made.bytes[2] = static_cast<std::uint8_t>(number >> 16);
    return made;
  }
  static AcquireRequest request(PathView at, const Token& of) {
    return {.path = at, .shape = {}, .rule = ClashRule::symmetric, .token = of};
  }
  /// canhaz of 1.0b: empty if granted, else the owner in the way.
  std::string canhaz(std::string_view text, std::string_view owner, Shape shape = {}) {
    const Path at = path(text);
    const AcquireRequest request{
        .path = at, .shape = shape, .rule = ClashRule::holder_only, .token = {}};
    if (const auto blocker = table_.blocker(request)) return std::string{blocker->owner};
    const LockId id{++fence_, 0};
    table_.apply(Granted{token(static_cast<int>(fence_)), id, shape, owner, at});
    table_.check_invariants();
    return "";
  }
  std::string dohaz(std::string_view text) {
    const auto held = table_.legacy_blocker(path(text));
    return held ? std::string{held->owner} : "nobody";
  }
  void release(int number) {
    table_.apply(Ended{token(number), {static_cast<Fence>(number), 0}, End::released});
    table_.check_invariants();
  }

  LockTable table_;
  Fence fence_ = 0;
};

TEST_F(LockTableTest, WhatCoolsFirstEndsByTwoRecords) {
  const auto grant = [this](int lease, std::string_view text, Milliseconds lock_delay) {
    const LockId id{++fence_, 0};
    const Path at = path(text);
    table_.apply(Granted{token(lease), id, {}, "me", at, {}, lock_delay, "meta"});
    table_.check_invariants();
    return id;
  };
  const LockId a = grant(1, "/a", {});
  EXPECT_EQ(table_.ends_max(), 2U);  // the lock and its lease
  const LockId b = grant(1, "/b", Milliseconds{5});
  const LockId c = grant(1, "/c", Milliseconds{5});
  EXPECT_EQ(table_.ends_max(), 6U);
  table_.apply(Cooling{token(1), b, End::forced});
  table_.check_invariants();
  EXPECT_EQ(table_.ends_max(), 5U);
  table_.apply(Ended{token(1), c, End::released});
  table_.apply(Ended{token(1), a, End::released});
  table_.check_invariants();
  EXPECT_EQ(table_.ends_max(), 1U);
  table_.apply(Ended{{}, b, End::cooled});
  table_.check_invariants();
  EXPECT_EQ(table_.ends_max(), 0U);
  const Path at = path("/a");
  Granted cooling{{}, {++fence_, 0}, {}, "me", at, {}, Milliseconds{5}, {}};
  cooling.is_cooling = true;  // as from a snapshot
  table_.apply(cooling);
  table_.check_invariants();
  EXPECT_EQ(table_.ends_max(), 1U);
}

// So any number of locks can end, also if the table is nearly full.
TEST_F(LockTableTest, WhatCoolsTakesNoMoreOfTheTableThanBefore) {
  const Path first = path("/first");
  const Path second = path("/second");
  const std::string owner(100, 'o');
  const std::string meta(3'560, 'm');
  table_.apply(Granted{token(1), {1, 0}, {}, owner, first, {}, Milliseconds{5}, meta});
  table_.apply(Granted{token(1), {2, 0}, {}, owner, second, {}, Milliseconds{5}, meta});
  const std::size_t before = table_.memory_bytes();
  table_.apply(Cooling{token(1), {2, 0}, End::forced});
  EXPECT_EQ(table_.memory_bytes(), before + map_node_bytes);
  table_.for_each_lock([&](const HeldLock& held) {
    EXPECT_EQ(held.owner, owner);
    EXPECT_EQ(table_.meta_of(held), meta);
    EXPECT_EQ(table_.lock_delay_of(held), Milliseconds{5});
  });
}

constexpr Shape not_parents{Mode::exclusive, false, true};
constexpr Shape not_children{Mode::exclusive, true, false};
constexpr Shape neither{Mode::exclusive, false, false};

TEST_F(LockTableTest, ALockKeepsOthersFromItselfItsParentsAndItsChildrenButNotItsSiblings) {
  EXPECT_EQ(canhaz("/foo/bar", "a"), "");
  EXPECT_EQ(canhaz("/foo/bar", "b"), "a");
  EXPECT_EQ(canhaz("/foo", "b"), "a");
  EXPECT_EQ(canhaz("/", "b"), "a");
  EXPECT_EQ(canhaz("/foo/bar/baz", "b"), "a");
  EXPECT_EQ(canhaz("/foo/zip", "b"), "");
  EXPECT_EQ(canhaz("/fo", "c"), "");
}

TEST_F(LockTableTest, FlagsFreeTheParentsOrTheChildrenAsTheSeedsExamplesSay) {
  EXPECT_EQ(canhaz("/foo/bar", "a", not_parents), "");
  EXPECT_EQ(canhaz("/foo", "b"), "");
  EXPECT_EQ(canhaz("/bar", "c", not_children), "");
  EXPECT_EQ(canhaz("/bar/foo", "d"), "");
  EXPECT_EQ(canhaz("/bar", "e"), "c");
  EXPECT_EQ(canhaz("/z", "f", neither), "");
  EXPECT_EQ(canhaz("/z", "g", neither), "f");
  EXPECT_EQ(canhaz("/z/y", "g"), "");
}

TEST_F(LockTableTest, TheRootIsAResourceAsAnyOther) {
  EXPECT_EQ(canhaz("/", "a"), "");
  EXPECT_EQ(canhaz("/", "b"), "a");
  EXPECT_EQ(canhaz("/x/y", "b"), "a");
  release(1);
  EXPECT_EQ(dohaz("/x"), "nobody");
}

TEST_F(LockTableTest, DohazNamesTheNearestAboveElseTheOldestBelow) {
  canhaz("/a", "top", not_children);
  canhaz("/a/b/1", "first");
  canhaz("/a/b/2", "second");
  canhaz("/a/c/1", "third");
  EXPECT_EQ(dohaz("/a"), "top");
  EXPECT_EQ(dohaz("/a/b"), "first");
  release(2);
  EXPECT_EQ(dohaz("/a/b"), "second");
  EXPECT_EQ(canhaz("/a/b/1", "fourth"), "");
  EXPECT_EQ(dohaz("/a/b"), "second");
  EXPECT_EQ(dohaz("/"), "top");
  release(1);
  EXPECT_EQ(dohaz("/"), "second");
  EXPECT_EQ(dohaz("/a/b/2/deep/er"), "second");
}

TEST_F(LockTableTest, NodesAndLeasesVanishWithTheirLastLock) {
  for (int i = 1; i <= 5000; ++i) {
    const Path at =
        path("/x/" + std::to_string(i % 50) + "/segment-of-many-bytes-" + std::to_string(i));
    table_.apply(Granted{token(i), {static_cast<Fence>(i), 0}, {}, "owner", at});
  }
  EXPECT_EQ(table_.lock_count(), 5000U);
  EXPECT_EQ(table_.node_count(), 5051U);
  for (int i = 5000; i >= 1; --i) {
    table_.apply(Ended{token(i), {static_cast<Fence>(i), 0}, End::released});
  }
  EXPECT_EQ(table_.lock_count(), 0U);
  EXPECT_EQ(table_.node_count(), 0U);
  EXPECT_EQ(table_.lease_count(), 0U);
  table_.check_invariants();
}

TEST_F(LockTableTest, AnOwnerStaysWhenItsLeaseGetsATtl) {
  const Path at = path("/a");
  const std::size_t empty = table_.memory_bytes();
  Fence fence = 0;
  for (std::size_t size = 0; size <= 255; ++size) {
    const std::string owner(size, 'o');
    table_.apply(Granted{token(1), {++fence, 0}, {}, owner, at});
    const std::size_t without_ttl = table_.memory_bytes();
    table_.apply(TtlChanged{token(1), Milliseconds{5}});
    table_.check_invariants();
    const auto lease = table_.find_lease_of(token(1));
    EXPECT_EQ(lease->owner, owner);
    EXPECT_EQ(lease->ttl, Milliseconds{5});
    EXPECT_GT(table_.memory_bytes(), without_ttl);
    table_.apply(Ended{token(1), {fence, 0}, End::released});
    EXPECT_EQ(table_.memory_bytes(), empty);

    table_.apply(LeaseOpened{token(1), {++fence, 0}, owner, {}});
    table_.check_invariants();
    EXPECT_EQ(table_.find_lease_of(token(1))->owner, owner);
    table_.apply(Ended{token(1), {fence, 0}, End::released});
    EXPECT_EQ(table_.memory_bytes(), empty);
  }
}

TEST_F(LockTableTest, AShortOwnerTakesEightBytes) {
  const Path at = path("/a");
  table_.apply(Granted{token(1), {1, 0}, {}, "", at});
  const std::size_t without = table_.memory_bytes();
  table_.apply(Ended{token(1), {1, 0}, End::released});
  table_.apply(Granted{token(1), {2, 0}, {}, "builder", at});
  EXPECT_EQ(table_.memory_bytes(), without + 8);
}

TEST_F(LockTableTest, LocksOfOneLeaseNeverClashAndItEndsWithTheLast) {
  const Path foo = path("/foo"), bar = path("/foo/bar");
  table_.apply(Granted{token(1), {1, 0}, {}, "a", foo});
  EXPECT_FALSE(table_.blocker(request(bar, token(1))));
  EXPECT_TRUE(table_.blocker(request(bar, token(2))));
  table_.apply(Granted{token(1), {2, 0}, {}, "ignored", bar});
  EXPECT_EQ(table_.lease_count(), 1U);
  EXPECT_EQ(table_.held_by(token(1), bar)->owner, "a");
  table_.apply(Ended{token(1), {1, 0}, End::released});
  EXPECT_EQ(table_.lease_count(), 1U);
  table_.apply(Ended{token(1), {2, 0}, End::released});
  EXPECT_EQ(table_.lease_count(), 0U);
}

TEST_F(LockTableTest, RecordsThatContradictWhatIsHeldAreRefusedAndChangeNothing) {
  const Path foo = path("/foo");
  const Granted granted{token(1), {5, 0}, {}, "a", foo};
  EXPECT_TRUE(table_.try_apply(granted));
  EXPECT_FALSE(table_.try_apply(granted));
  EXPECT_FALSE(table_.try_apply(Granted{token(1), {6, 0}, {}, "a", foo}));
  EXPECT_FALSE(table_.try_apply(Ended{token(2), {5, 0}, End::released}));
  EXPECT_FALSE(table_.try_apply(Ended{token(1), {4, 0}, End::released}));
  EXPECT_EQ(table_.lock_count(), 1U);
  EXPECT_TRUE(table_.try_apply(Ended{token(1), {5, 0}, End::released}));
}

TEST_F(LockTableTest, WhatIsLookedForByItsIdTakesNoStepsAnyMoreWithAnIndex) {
  constexpr int locks = 1'000;
  for (int number = 1; number <= locks; ++number) {
    const LockId id{static_cast<Fence>(number), 0};
    table_.apply(Granted{token(1), id, {}, "", path("/" + std::to_string(number))});
  }
  const auto steps_of = [&](LockId id) {
    const std::uint64_t before = table_.search_steps();
    EXPECT_EQ(table_.find_ended(Ended{token(1), id, End::released})->id, id);
    return table_.search_steps() - before;
  };
  for (Fence fence = 499; fence < 502; ++fence) EXPECT_GT(steps_of({fence, 0}), 400U);
  table_.apply(Ended{token(1), {500, 0}, End::released});
  table_.apply(Granted{token(2), {locks + 1, 0}, {}, "", path("/other")});
  for (Fence fence = 501; fence < 600; ++fence) EXPECT_EQ(steps_of({fence, 0}), 0U);
  EXPECT_FALSE(table_.find_ended(Ended{token(1), {500, 0}, End::released}));
  EXPECT_FALSE(table_.find_ended(Ended{token(1), {locks + 1, 0}, End::released}));
  table_.forget_index();
  EXPECT_GT(steps_of({501, 0}), 400U);
}

// The block of its lock is reused for a lock of another depth, which another cursor stands behind.
TEST_F(LockTableTest, ACursorThatIsNotKeptNeverMovesAgain) {
  const auto deep = [&](std::string text, int depth) {
    for (int level = 1; level < depth; ++level) text += "/" + std::to_string(level);
    return path(text);
  };
  const auto grant = [&](PathView at, const Shape& shape, std::string_view meta = "") {
    const int number = static_cast<int>(++fence_);
    table_.apply(Granted{token(number), {fence_, 0}, shape, {}, at, {}, {}, meta});
    return number;
  };
  const Path first = deep("/x", 31);
  const Path second = deep("/y", 28);
  const int older = grant(first, {Mode::shared, true, true});
  const int newer = grant(first, {Mode::shared, true, true});
  LockCursor not_kept{table_, first};
  not_kept.keep();
  while (not_kept.next()) {  // it is not kept any more
  }
  release(newer);
  release(older);
  const std::string meta(260, 'A');
  grant(path("/m"), {}, meta);
  const int last = grant(second, {});
  LockCursor kept{table_, second};
  EXPECT_TRUE(kept.next());
  kept.keep();
  release(last);
  EXPECT_EQ(table_.meta_of(*table_.legacy_blocker(path("/m"))), meta);
}

TEST_F(LockTableTest, ACursorIsMovedInSlicesOfALimitedSize) {
  for (const char* const at : {"/a", "/b/c", "/d", "/b/e", "/f"}) EXPECT_EQ(canhaz(at, "x"), "");
  LockCursor cursor{table_, path("/")};
  std::size_t steps = 1;
  EXPECT_FALSE(cursor.skip({4, 0}, steps));
  steps = 2;
  EXPECT_FALSE(cursor.skip({4, 0}, steps));
  EXPECT_EQ(steps, 0U);
  cursor.keep();
  release(2);
  release(4);
  steps = 1;
  EXPECT_TRUE(cursor.skip({4, 0}, steps));
  EXPECT_EQ(steps, 1U);
  EXPECT_EQ(cursor.next()->id.fence, 5U);
  EXPECT_FALSE(cursor.next());
}

TEST_F(LockTableTest, TheDeepestPathIsHeldAndReleased) {
  Path deep;
  for (std::size_t i = 0; i < segments_max; ++i) EXPECT_EQ(deep.push_back("d"), Path::Push::ok);
  table_.apply(Granted{token(1), {1, 0}, {}, "a", deep});
  table_.check_invariants();
  EXPECT_EQ(dohaz("/d/d"), "a");
  table_.apply(Ended{token(1), {1, 0}, End::expired});
  EXPECT_EQ(table_.node_count(), 0U);
}

/// Returns two texts with the same hash, in a table with this seed.
std::pair<std::string, std::string> texts_of_one_hash(std::uint64_t seed,
                                                      const std::function<std::string(int)>& text) {
  std::map<std::uint32_t, std::string> texts;
  for (int number = 0;; ++number) {
    const std::string made = text(number);
    const auto [other, is_new] = texts.emplace(Hash{seed}.then(made).folded(), made);
    if (!is_new) return {other->second, made};
  }
}

// By chance this happens to one pair in four thousand million, so no other test covers it.
TEST_F(LockTableTest, PathsWhoseHashesAreTheSameAreNotMistakenForEachOther) {
  const auto [a, b] =
      texts_of_one_hash(0, [](int number) { return "name" + std::to_string(number); });
  for (const auto& [first, second] : {std::pair{a, b}, std::pair{b, a}}) {
    EXPECT_EQ(canhaz("/" + first, "first"), "");
    EXPECT_EQ(dohaz("/" + second), "nobody");
    EXPECT_EQ(canhaz("/" + second + "/below", "second"), "");
    EXPECT_EQ(canhaz("/" + first + "/below", "third"), "first");
    EXPECT_EQ(canhaz("/" + second, "third"), "second");
    release(static_cast<int>(fence_ - 1));
    EXPECT_EQ(canhaz("/" + first + "/below", "third"), "");
    EXPECT_EQ(dohaz("/" + second), "second");
    release(static_cast<int>(fence_ - 1));
    EXPECT_EQ(dohaz("/" + second + "/below"), "nobody");
    EXPECT_EQ(dohaz("/" + first), "third");
    release(static_cast<int>(fence_));
    EXPECT_EQ(table_.node_count(), 0U);
  }
}

TEST_F(LockTableTest, TokensWhoseHashesAreTheSameAreNotMistakenForEachOther) {
  const auto bytes_of = [](const Token& of) {
    return std::string{reinterpret_cast<const char*>(of.bytes.data()), of.bytes.size()};
  };
  const auto [a, b] = texts_of_one_hash(0, [&](int number) { return bytes_of(token(number)); });
  Token first;
  Token second;
  std::memcpy(first.bytes.data(), a.data(), a.size());
  std::memcpy(second.bytes.data(), b.data(), b.size());
  for (Fence fence = 1; fence < 8; fence += 2) {
    table_.apply(Granted{first, {fence, 0}, {}, "first", path("/first")});
    EXPECT_FALSE(table_.find_lease_of(second));
    table_.apply(Granted{second, {fence + 1, 0}, {}, "second", path("/second")});
    EXPECT_EQ(table_.find_lease_of(first)->owner, "first");
    EXPECT_EQ(table_.find_lease_of(second)->owner, "second");
    table_.apply(Ended{first, {fence, 0}, End::released});
    EXPECT_FALSE(table_.find_lease_of(first));
    EXPECT_EQ(table_.find_lease_of(second)->owner, "second");
    table_.apply(Ended{second, {fence + 1, 0}, End::released});
    EXPECT_EQ(table_.lease_count(), 0U);
    std::swap(first, second);
  }
}

}  // namespace
}  // namespace locker::core
