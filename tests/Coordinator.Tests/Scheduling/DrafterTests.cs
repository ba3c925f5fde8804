using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Text;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Drafting;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class DrafterTests
{
    [Fact]
    public void Goes_on_as_the_text_did_before()
    {
        var drafter = new Drafter();

        Assert.Equal([4, 5], drafter.Draft(new TokenHistory([1, 2, 3, 4, 5, 6, 1, 2, 3]), rows: 1, most: 7));
        Assert.Equal([4], drafter.Draft(new TokenHistory([1, 2, 3, 4, 5, 6, 1, 2, 3]), rows: 1, most: 1));
    }

    [Fact]
    public void Goes_on_with_its_own_guess_where_the_text_ends()
    {
        var drafter = new Drafter();
        drafter.Verified(20, 20);

        Assert.Equal([2, 1, 2, 1, 2, 1, 2], drafter.Draft(new TokenHistory([2, 1, 2, 1, 2, 1]), rows: 1, most: 7));
    }

    [Fact]
    public void Learns_what_pays()
    {
        var drafter = new Drafter();
        int[] text = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3];
        int[] Draft() => drafter.Draft(new TokenHistory(text), rows: 1, most: 7);

        for (var i = 0; i < 12; i++) drafter.Verified(2, 2);
        Assert.Equal(7, Draft().Length);
        for (var i = 0; i < 20; i++) drafter.Verified(1, 0);
        Assert.Empty(Draft());
        var patience = 0;
        while (Draft().Length == 0) Assert.InRange(++patience, 1, 200);   // tries again after a while
        Assert.InRange(patience, 5, 200);
    }

    [Fact]
    public void A_step_that_computes_much_else_is_no_place_to_guess()
    {
        var drafter = new Drafter();

        Assert.Empty(drafter.Draft(new TokenHistory([1, 2, 3, 4, 5, 6, 1, 2, 3]), rows: 100, most: 7));
        Assert.Equal([4, 5], drafter.Draft(new TokenHistory([1, 2, 3, 4, 5, 6, 1, 2, 3]), rows: 1, most: 7));
    }

    [Fact]
    public void A_long_prompt_is_taken_in_over_some_steps()
    {
        var drafter = new Drafter();
        int[] text = [.. Enumerable.Range(0, 5000), 10, 11, 12];

        Assert.Empty(drafter.Draft(new TokenHistory(text), rows: 1, most: 7));
        Assert.Empty(drafter.Draft(new TokenHistory(text), rows: 1, most: 7));
        Assert.Equal([13, 14], drafter.Draft(new TokenHistory(text), rows: 1, most: 7));
    }

    [Fact]
    public void What_a_form_forces_comes_before_what_the_text_had_and_also_where_chance_chooses()
    {
        Drafter Make() => new(new ForcedText(GrammarCompiler.Compile(new(GrammarKind.Regex, "abcabc[xy]z")).Grammar!, new DraftTokens(new Letters())));
        var tokens = new TokenHistory([1, 2, 3, 4, 1, 2, 3], ['a']);

        Assert.Equal(['b', 'c', 'a', 'b', 'c'], Make().Draft(tokens, rows: 1, most: 15));
        Assert.Equal(['b', 'c', 'a', 'b', 'c'], Make().Draft(tokens, rows: 1, most: 15, isGreedy: false));
        Assert.Equal(['b', 'c'], Make().Draft(tokens, rows: 1, most: 2));
        Assert.Empty(Make().Draft(tokens, rows: 1000, most: 15));
        Assert.Empty(Make().Draft(new TokenHistory([1, 2, 3, 4, 1, 2, 3], [.. "abcabc"]), rows: 1, most: 15, isGreedy: false));
        Assert.Equal(['a'], Make().Draft(new TokenHistory([1, 2, 3, 4, 1, 2, 3], []), rows: 1, most: 1));
    }

    [Fact]
    public void Forced_tokens_that_turn_out_wrong_are_drafted_less()
    {
        var drafter = new Drafter(new ForcedText(GrammarCompiler.Compile(new(GrammarKind.Regex, "(abcdefgh){50}")).Grammar!, new DraftTokens(new Letters())));
        var tokens = new TokenHistory([1], ['a']);
        var first = drafter.Draft(tokens, rows: 1, most: 15).Length;
        for (var i = 0; i < 8; i++)
        {
            drafter.Draft(tokens, rows: 1, most: 15);
            drafter.Verified(1, 0);
        }
        Assert.InRange(drafter.Draft(tokens, rows: 1, most: 15).Length, 0, first / 3);
    }

    [Fact]
    public void A_long_answer_is_followed_again_over_some_steps()
    {
        var drafter = new Drafter(new ForcedText(GrammarCompiler.Compile(new(GrammarKind.Regex, "(ab){2000}")).Grammar!, new DraftTokens(new Letters())));
        var tokens = new TokenHistory([1], [.. Enumerable.Range(0, 600).Select(i => i % 2 == 0 ? (int)'a' : 'b')]);
        int[] Draft() => drafter.Draft(tokens, rows: 1, most: 3, isGreedy: false);

        Assert.Empty(Draft());
        Assert.Empty(Draft());
        Assert.Equal(['a', 'b', 'a'], Draft());
    }

    /// <summary>A token for each byte.</summary>
    sealed class Letters : ITokenizer
    {
        public int VocabularySize => 256;

        public int? BosId => null;

        public int? EosId => null;

        public IReadOnlySet<int> StopIds { get; } = new HashSet<int>();

        public void Encode(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, bool parseSpecial)
        {
            foreach (var letter in text) ids.Add(letter);
        }

        public ReadOnlyMemory<byte> BytesOf(int id) => new[] { (byte)id };

        public bool IsControl(int id) => false;

        public void Decode(ReadOnlySpan<int> ids, List<byte> text, bool includeControl)
        {
            foreach (var id in ids) text.Add((byte)id);
        }

        public int? FindToken(string written) => null;
    }
}
