// Collects what is wrong with a configuration file, so that a person mends it in one go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controlplane/config/load.hpp"

namespace balancer::controlplane {

// From 1, as editors count; line 0: the file as a whole.
struct Position {
    unsigned line = 0;
    unsigned column = 0;
};

// Lives for one parse. Not thread-safe. Texts handed in hold no secrets: values go through
// in_quotes() first.
class ProblemList {
  public:
    // `file` is named in every problem.
    explicit ProblemList(std::string file) : file_(std::move(file)) {}

    // Beyond kProblemsMax only the first one more is kept, which says so.
    void add(Position at, std::string path, std::string message, std::string suggestion = {});

    bool empty() const { return problems_.empty(); }
    std::size_t size() const { return problems_.size(); }

    // In the order of the file.
    std::vector<ConfigProblem> take();

  private:
    std::string file_;
    std::vector<ConfigProblem> problems_;
};

// A broken generated file may hold one mistake a thousand times.
inline constexpr std::size_t kProblemsMax = 100;

// A value or key of the file for use in a message: in quotes, cut, secrets redacted, no control
// characters.
std::string in_quotes(std::string_view text);

// The one of `candidates` that `word` is most likely a slip of; empty when none is near.
std::string_view closest(std::string_view word, const std::vector<std::string_view>& candidates);

// "did you mean 'X'?", or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace balancer::controlplane
