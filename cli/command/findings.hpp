// What `balancerctl doctor` finds: how bad, where, what, and what to do.
#pragma once

#include <string>
#include <vector>

#include "cli/session.hpp"

namespace balancer::cli {

enum class Verdict { kGood, kWarn, kBad };

// In the order in which they are told. As a table each is printed at once: a look may take long.
class Findings {
  public:
    explicit Findings(Session& session) : session_(session) {}

    // `mend`: what to do; empty when there is nothing.
    void tell(Verdict verdict, std::string subject, std::string words, std::string mend = {});

    // Prints them, where they are to make one document, and returns the exit code that they mean.
    int finish();

  private:
    struct Finding {
        Verdict verdict;
        std::string subject;
        std::string words;
        std::string mend;
    };

    Session& session_;
    std::vector<Finding> findings_;
};

// Clocks that differ by more make tokens, resets and logs wrong. (A Date header is a second old at once.)
inline constexpr std::int64_t kClockApartMs = 5'000;

// "7.5 s behind"
std::string apart_words(std::int64_t ahead_ms);

}  // namespace balancer::cli
