// Cuts a text into the pieces that are encoded one by one, with an encoding's own published expression.
#pragma once

#include <memory>
#include <string_view>

namespace balancer::tokens {

// A compiled expression. Immutable and thread-safe.
class Splitter {
  public:
    // Perl's syntax, on UTF-8 with Unicode classes. One that does not compile is a defect (BALANCER_CHECK).
    explicit Splitter(std::string_view pattern);
    ~Splitter();
    Splitter(const Splitter&) = delete;
    Splitter& operator=(const Splitter&) = delete;

  private:
    friend class Pieces;
    struct Code;
    std::unique_ptr<Code> code_;
};

// The pieces of one text after the other. Keeps its memory. Not thread-safe; the splitter must outlive it.
class Pieces {
  public:
    explicit Pieces(const Splitter& splitter);
    ~Pieces();
    Pieces(const Pieces&) = delete;
    Pieces& operator=(const Pieces&) = delete;

    // `text` is UTF-8 (not checked again), stays, and is short: the work on one piece may be proportional to it.
    void begin(std::string_view text);

    // The next piece, a view into the text; empty: there is none.
    std::string_view next();

  private:
    struct Match;
    std::unique_ptr<Match> match_;
    const Splitter& splitter_;
    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace balancer::tokens
