// The rules: whatever commands a fuzzer thinks of, the arbiter and its oracle agree.

#include "tests/core/arbiter_comparison.hpp"
#include "tests/fuzz/fuzz_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool once = [] {
    GTEST_FLAG_SET(throw_on_failure, true);
    GTEST_FLAG_SET(catch_exceptions, false);
    int count = 1;
    char name[] = "arbiter_fuzz";
    char* arguments[] = {name, nullptr};
    testing::InitGoogleTest(&count, arguments);
    return true;
  }();
  static_cast<void>(once);
  locker::fuzz::Input input{data, std::min<std::size_t>(size, 2'000)};
  locker::core::ArbiterComparison comparison{[&input] { return input.number(2); }};
  const int steps = static_cast<int>(std::min<std::size_t>(size / 8, 150));
  comparison.run(steps);
  return 0;
}
