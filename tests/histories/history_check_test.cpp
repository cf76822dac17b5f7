#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/histories/asked.hpp"
#include "tests/histories/pretend_server.hpp"

namespace locker::histories {
namespace {

constexpr std::size_t operations = 5'000;
constexpr std::uint64_t seeds = 4;

TEST(HistoryCheck, RightHistoriesPass) {
  for (std::uint64_t seed = 1; seed <= 10 * seeds; ++seed) {
    PretendServer server{seed, Wrong::nothing};
    const Evidence evidence = server.run(operations);
    const Faults faults = check(evidence);
    ASSERT_TRUE(faults.empty()) << "seed " << seed << ": " << faults.sentences().front();
  }
}

Operation refused_as_busy(const Evidence& evidence, Kind kind, std::string error) {
  Operation refused;
  refused.kind = kind;
  refused.token = "a token";
  refused.wanted.push_back({"/a", {}});
  refused.sent = evidence.history.operations.back().sent + 1;
  refused.got = refused.sent + 1;
  refused.status = 503;
  refused.index = evidence.journal.size();
  refused.reply.error = std::move(error);
  return refused;
}

TEST(HistoryCheck, AWaiterKeepsTheMetaOfTheLockThatItWasToChange) {
  History history;
  Operation& upgrade = history.operations.emplace_back();
  upgrade.kind = Kind::acquire;
  upgrade.owner = "me";
  upgrade.wanted.push_back({"/a", {}});
  upgrade.sent = 100;
  const Asked asked{history};
  Asked::Grant grant{.owner = "me", .lock = {"/a", {}}, .meta = "why", .inherits_until = 100};
  EXPECT_EQ(asked.find_request(grant).first, &upgrade);
  grant.inherits_until = 99;  // that lock was lost before
  EXPECT_EQ(asked.find_request(grant).first, nullptr);
}

TEST(HistoryCheck, AJournalThatMakesRoomIsNoFault) {
  PretendServer server{1, Wrong::nothing};
  Evidence evidence = server.run(operations);
  auto& history = evidence.history.operations;
  history.push_back(refused_as_busy(evidence, Kind::release, "busy"));
  history.push_back(refused_as_busy(evidence, Kind::canhaz, "The journal is making room."));
  const Faults faults = check(evidence);
  EXPECT_TRUE(faults.empty()) << faults.sentences().front();
}

struct Expected {
  Wrong wrong;
  std::string_view name;
  std::string_view says;  // in one of the sentences
  friend std::ostream& operator<<(std::ostream& out, const Expected& expected) {
    return out << expected.name;
  }
};

class HistoryCheckFinds : public testing::TestWithParam<Expected> {};

TEST_P(HistoryCheckFinds, It) {
  std::uint64_t wrong_runs = 0;
  std::uint64_t found = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    PretendServer server{seed, GetParam().wrong};
    const Evidence evidence = server.run(operations);
    if (server.wrongs() == 0) continue;
    ++wrong_runs;
    const Faults faults = check(evidence);
    for (const std::string& sentence : faults.sentences()) {
      if (sentence.find(GetParam().says) == std::string::npos) continue;
      ++found;
      break;
    }
  }
  EXPECT_GT(found, 0U);
  EXPECT_GE(2 * found, wrong_runs);  // some leave no trace: nobody came near
}

INSTANTIATE_TEST_SUITE_P(
    All, HistoryCheckFinds,
    testing::Values(
        Expected{Wrong::overlap, "Overlap", "overlaps"},
        Expected{Wrong::child_overlap, "ChildOverlap", "overlaps"},
        Expected{Wrong::lost_lock, "LostLock", "overlaps"},
        Expected{Wrong::lost_record, "LostRecord", "the journal has no grant"},
        Expected{Wrong::unasked_grant, "UnaskedGrant", "nobody asked for it"},
        Expected{Wrong::falling_fence, "FallingFence", "its fence does not rise"},
        Expected{Wrong::falling_fence, "FallingFenceByWhatClientsKnow", "its fence is not above"},
        Expected{Wrong::stale_state, "StaleState", "was known before"},
        Expected{Wrong::other_index, "OtherIndex", "is not so at index"},
        Expected{Wrong::baseless_refusal, "BaselessRefusal", "is no reason to refuse it"},
        Expected{Wrong::empty_refusal, "EmptyRefusal", "nothing was in the way"},
        Expected{Wrong::left_out_blocker, "LeftOutBlocker", "it leaves out"},
        Expected{Wrong::overtaking, "Overtaking", "it was overtaken by"},
        Expected{Wrong::other_fence, "OtherFence", "the journal has no grant"},
        Expected{Wrong::other_mode, "OtherMode", "the journal has no grant"},
        Expected{Wrong::shorter_ttl, "ShorterTtl", "its TTL is shorter than it asked for"},
        Expected{Wrong::blind_look, "BlindLook", "it leaves out"},
        Expected{Wrong::blind_dohaz, "BlindDohaz", "it tells of nobody"},
        Expected{Wrong::wrong_witness, "WrongWitness", "and should of"},
        Expected{Wrong::early_expiry, "EarlyExpiry", "ms at most after a renewal"},
        Expected{Wrong::unrenewed_refusal, "UnrenewedRefusal", "ms at most after a renewal"},
        Expected{Wrong::no_expiry, "NoExpiry", "after its last renewal"},
        Expected{Wrong::early_refusal, "EarlyRefusal", "it waited"},
        Expected{Wrong::second_grant, "SecondGrant", "its lease holds the path already"},
        Expected{Wrong::forgotten_end, "ForgottenEnd", "is not so at index"},
        Expected{Wrong::other_lease_renewed, "OtherLeaseRenewed", "no such lease"},
        Expected{Wrong::living_lease_ended, "LivingLeaseEnded", "its lease has not been"},
        Expected{Wrong::grant_to_who_left, "GrantToWhoLeft", "who had left"},
        Expected{Wrong::force_untold, "ForceUntold", "it ended"},
        Expected{Wrong::torn_store, "TornStore", "the store has lost"},
        Expected{Wrong::full_disk, "FullDisk", "its status is 507, error disk_full"},
        Expected{Wrong::draining, "Draining", "its status is 503, error draining"},
        Expected{Wrong::busy_look, "BusyLook", "its status is 503, error busy"},
        Expected{Wrong::often_busy, "OftenBusy", "say that the journal makes room"}),
    [](const auto& parameter) { return std::string{parameter.param.name}; });

}  // namespace
}  // namespace locker::histories
