using Google.Protobuf;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Worker.Execution;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Execution;

public sealed class SequenceGrammarsTests
{
    readonly SequenceGrammars _grammars = new(maxVocabulary: 4, maxSequences: 2);

    [Fact]
    public void Complete_VocabularyInPartsAndGrammar_GoWithTheSequenceOnce()
    {
        _grammars.Add(Part(last: false, "a", "bc"));
        _grammars.Add(Part(last: true, "", "d"));
        _grammars.Add(Of(7, "a|d"));
        _grammars.Add(Of(8, "a|d"));

        var grammar = _grammars.Complete(Start(7)).Grammar!;
        Assert.Same(grammar.Grammar, _grammars.Complete(Start(8)).Grammar!.Grammar);
        Assert.Equal(4, grammar.Vocabulary.Size);
        Assert.Null(_grammars.Complete(Start(7)).Grammar);
    }

    [Fact]
    public void Complete_GrammarThatDoesNotCompile_IsTheSequencesProblem()
    {
        _grammars.Add(Part(last: true, "a"));
        _grammars.Add(Of(7, "(a"));
        Assert.Contains("its grammar cannot be enforced: character 3", _grammars.Complete(Start(7)).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Add_MoreVocabulariesThanAreKept_ForgetsThemButNotForGrammarsThatWait()
    {
        for (var adapter = 0UL; adapter < MessageBudgets.Vocabularies; adapter++) _grammars.Add(Part(adapter, last: true, "a"));
        _grammars.Add(Of(7, "a", adapter: 3));
        _grammars.Add(Part(99, last: true, "a", "b"));

        Assert.Equal(1, _grammars.Complete(Start(7)).Grammar!.Vocabulary.Size);
        Assert.Contains(
            "the vocabulary has not come",
            Assert.Throws<InvalidMessageException>(() => _grammars.Add(Of(8, "a", adapter: 3))).Message, StringComparison.Ordinal);
        _grammars.Add(Part(3, last: true, "a"));   // it can come again
        _grammars.Add(Of(8, "a", adapter: 99));
        Assert.Equal(2, _grammars.Complete(Start(8)).Grammar!.Vocabulary.Size);
    }

    static readonly (string Named, Action<SequenceGrammars> Add)[] Wrong =
    [
        ("the vocabulary has not come", grammars => grammars.Add(Of(7, "a"))),
        ("it has come already", grammars => AddTwice(grammars, Part(last: true, "a"))),
        ("lengths of all parts of the vocabulary is 5", grammars => grammars.Add(Part(last: true, "a", "b", "c", "d", "e"))),
        ("shorter than their lengths", grammars => grammars.Add(new Wire.VocabularyPart { Lengths = { 3 }, Texts = ByteString.CopyFromUtf8("ab") })),
        ("shorter than their lengths", grammars => grammars.Add(new Wire.VocabularyPart { Lengths = { uint.MaxValue } })),
        ("an end_id of the vocabulary is 4", grammars => grammars.Add(new Wire.VocabularyPart { EndIds = { 4 } })),
        ("sequences with a grammar is 3", grammars => AddThree(grammars)),
    ];

    [Fact]
    public void Add_WhatContradictsTheProtocol_IsRefusedByField() => Assert.All(Wrong, wrong =>
        Assert.Contains(
            wrong.Named,
            Assert.Throws<InvalidMessageException>(() => wrong.Add(new SequenceGrammars(maxVocabulary: 4, maxSequences: 2))).Message,
            StringComparison.Ordinal));

    static void AddTwice(SequenceGrammars grammars, Wire.VocabularyPart part)
    {
        grammars.Add(part);
        grammars.Add(part);
    }

    static void AddThree(SequenceGrammars grammars)
    {
        grammars.Add(Part(last: true, "a"));
        for (var id = 1UL; id <= 3; id++) grammars.Add(Of(id, "a"));
    }

    static Wire.VocabularyPart Part(bool last, params string[] texts) => Part(0, last, texts);

    static Wire.VocabularyPart Part(ulong adapter, bool last, params string[] texts) =>
        new()
        {
            AdapterId = adapter,
            Lengths = { texts.Select(text => (uint)text.Length) },
            Texts = ByteString.CopyFromUtf8(string.Concat(texts)),
            Last = last,
        };

    static Wire.SequenceGrammar Of(ulong sequence, string expression, ulong adapter = 0) =>
        new() { SequenceId = sequence, Kind = (uint)GrammarKind.Regex, Text = expression, AdapterId = adapter };

    static SequenceStart Start(ulong sequence) => new(sequence, new SamplingOptions(), 1, []);
}
