#include "persistence/snapshot_policy.hpp"

#include <gtest/gtest.h>

#include "persistence/segment_preparer.hpp"
#include "persistence/snapshot_format.hpp"

namespace locker::persistence {
namespace {

using Situation = SnapshotPolicy::Situation;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20U;
constexpr std::uint64_t many = 1'000'000;  // more than a snapshot is certain to fit for

/// When a snapshot did not fit.
constexpr Situation full{1'000, 8 * mebibyte, many, 5 * mebibyte, false};

TEST(SnapshotPolicy, OneThatDidNotFitIsTriedAgainWhenItMayFit) {
  const std::uint64_t more_free = full.free_bytes + spare_bytes_min;
  const std::uint64_t few = 100;
  ASSERT_LT(snapshot_bytes_max(few), full.free_bytes);
  const std::uint64_t enough = snapshot_bytes_max(few);
  const auto expected = [](std::uint64_t bytes, std::uint64_t replaced) -> Situation {
    return {1'001, full.sealed_bytes, many / 2 + 1, full.free_bytes, false, bytes, replaced};
  };
  const struct {
    const char* what;
    Situation now;
    bool may_try;
  } cases[] = {
      {"as it was", full, false},
      {"a little more is free", {1'000, full.sealed_bytes, many, more_free - 1, false}, false},
      {"more is free", {1'000, full.sealed_bytes, many, more_free, false}, true},
      {"more is sealed", {2'000, 2 * full.sealed_bytes - 1, many, 0, false}, false},
      {"twice as much is sealed", {2'000, 2 * full.sealed_bytes, many, 0, false}, true},
      {"half as much is held", {1'001, full.sealed_bytes, many / 2, 0, false}, true},
      {"a little more is held", {1'001, full.sealed_bytes, many / 2 + 1, 0, false}, false},
      {"a little more is held, and it is expected to fit",
       expected(full.free_bytes, spare_bytes_min), true},
      {"it is not", expected(full.free_bytes + 1, spare_bytes_min), false},
      {"what is left free does not let it", expected(full.free_bytes, spare_bytes_min - 1), false},
      {"nothing was sealed since", {1'000, full.sealed_bytes, 0, full.free_bytes, false}, false},
  };
  for (const auto& each : cases) {
    SnapshotPolicy policy;
    EXPECT_TRUE(policy.may_try(full)) << each.what;
    policy.note_put_off(full, true);
    EXPECT_TRUE(policy.is_put_off());
    EXPECT_EQ(policy.may_try(each.now), each.may_try) << each.what;
    policy.note_made();
    EXPECT_FALSE(policy.is_put_off());
    EXPECT_TRUE(policy.may_try(each.now)) << each.what;
  }
  // With few locks held, even if no more were held then.
  SnapshotPolicy policy;
  policy.note_put_off({1'000, full.sealed_bytes, few, enough, false}, true);
  EXPECT_FALSE(policy.may_try({1'001, full.sealed_bytes, few, enough - 1, false}));
  EXPECT_TRUE(policy.may_try({1'001, full.sealed_bytes, few, enough, false}));
}

TEST(SnapshotPolicy, AnExpectationThatWasWrongCountsNoMore) {
  Situation now = full;
  now.expected_bytes = 1;
  SnapshotPolicy policy;
  policy.note_put_off(now, true);
  ++now.last_index;
  EXPECT_FALSE(policy.may_try(now));
  now.held = many / 2;
  EXPECT_TRUE(policy.may_try(now));
  // Nothing is known of one that was put off for lack of a file descriptor.
  now.held = many;
  policy.note_put_off(now, false);
  EXPECT_FALSE(policy.may_try(now));
  ++now.last_index;
  EXPECT_TRUE(policy.may_try(now));
}

TEST(SnapshotPolicy, OneThatHadNoDescriptorIsTriedAgainWhereNothingIsSealedForWantOfRoom) {
  for (const bool did_not_fit : {false, true}) {
    SnapshotPolicy policy;
    policy.note_put_off(full, did_not_fit);
    Situation now = full;
    EXPECT_FALSE(policy.may_try(now));
    now.segment_has_no_room = true;
    EXPECT_EQ(policy.may_try(now), !did_not_fit);
  }
}

TEST(SnapshotPolicy, ItGivesWayToASegment) {
  const SnapshotPolicy policy;
  Situation now = full;
  now.segment_fits_again = true;
  EXPECT_FALSE(policy.may_try(now));
}

TEST(SnapshotPolicy, AfterAFileThatDoesNotReadNoneIsMade) {
  SnapshotPolicy policy;
  EXPECT_FALSE(policy.is_off());
  policy.note_unreadable_file();
  EXPECT_TRUE(policy.is_off());
  EXPECT_FALSE(policy.may_try(full));
}

TEST(SnapshotPolicy, ItLeavesSomethingFreeUnlessItIsSureToFit) {
  const auto bytes_max = [](std::uint64_t held, std::uint64_t free, std::uint64_t replaced) {
    return SnapshotPolicy::bytes_max({1'000, mebibyte, held, free, false, 0, replaced});
  };
  EXPECT_EQ(bytes_max(many, 5 * mebibyte, 0), 5 * mebibyte - spare_bytes_min);
  EXPECT_EQ(bytes_max(many, mebibyte, 3 * mebibyte), 4 * mebibyte - spare_bytes_min);
  EXPECT_EQ(bytes_max(many, mebibyte, 0), 0U);
  EXPECT_EQ(bytes_max(0, mebibyte, 0), snapshot_bytes_max(0));
  EXPECT_EQ(bytes_max(0, snapshot_bytes_max(0) - 1, 0), 0U);
  EXPECT_EQ(bytes_max(0, 9 * mebibyte, 0), 9 * mebibyte - spare_bytes_min);
}

}  // namespace
}  // namespace locker::persistence
