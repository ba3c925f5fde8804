using System.Text;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tests.Tokenization.Vocabularies;

public sealed class SentencePieceModelTests
{
    static readonly byte[] Recorded = File.ReadAllBytes(Tokenization.Recorded.PathOf("sentencepiece/tokenizer.model"));

    [Fact]
    public void ReadsPiecesAndRules()
    {
        var model = Read(Recorded);

        Assert.Equal(900, model.Pieces.Count);
        Assert.Equal(["<unk>", "<s>", "</s>", "<|turn|>"], Enumerable.Range(0, 4).Select(model.Written));
        Assert.Equal([TokenKind.Unknown, TokenKind.Control, TokenKind.Control, TokenKind.Control], model.Kinds.Take(4));
        Assert.Equal(256, model.Kinds.Count(kind => kind is TokenKind.Byte));
        Assert.Equal((1, 2, true), (model.BosId, model.EosId, model.AddDummyPrefix));
    }

    [Fact]
    public void FieldsThatAreAbsentHaveTheFormatsDefaults()
    {
        var model = Read([.. Trainer(Bpe, ByteFallback), .. Normalizer(KeepSpaces), .. Message(1, [.. Text(1, "a")])]);

        Assert.Equal((1, 2, true), (model.BosId, model.EosId, model.AddDummyPrefix));
        Assert.Equal((0f, TokenKind.Normal), (model.Scores[0], model.Kinds[0]));
    }

    [Fact]
    public void FieldsThatAreNotKnownAreSkipped()
    {
        byte[] unknown = [.. Text(900, "x"), .. Number(901, 300), .. Tag(902, 5), 1, 2, 3, 4, .. Tag(903, 1), 1, 2, 3, 4, 5, 6, 7, 8];
        var piece = Message(1, [.. unknown, .. Text(1, "a")]);
        var model = Read([.. unknown, .. Trainer(Bpe, ByteFallback, unknown), .. Normalizer(KeepSpaces, unknown), .. piece, .. Message(5, unknown)]);

        Assert.Equal("a", model.Written(0));
    }

    [Fact]
    public void RefusesModelsOfOtherKinds()
    {
        AssertRefused("trainer_spec.model_type is unigram, which is not supported; BPE is", []);
        AssertRefused("trainer_spec.model_type is word", Trainer(Number(3, 3)));
        AssertRefused("trainer_spec.model_type is 77", Trainer(Number(3, 77)));
        AssertRefused("trainer_spec.byte_fallback is false", Trainer(Bpe));
        AssertRefused("trainer_spec.treat_whitespace_as_suffix is true", Trainer(Bpe, ByteFallback, Number(24, 1)));
        AssertRefused("normalizer_spec.precompiled_charsmap is there", [.. Trainer(Bpe, ByteFallback), .. Normalizer(Text(2, "x"))]);
        AssertRefused("normalizer_spec.precompiled_charsmap is there", [.. Trainer(Bpe, ByteFallback), .. Message(5, Text(2, "x"))]);
        AssertRefused("normalizer_spec.remove_extra_whitespaces is true", Trainer(Bpe, ByteFallback));
        AssertRefused("normalizer_spec.escape_whitespaces is false", [.. Trainer(Bpe, ByteFallback), .. Normalizer(KeepSpaces, Number(5, 0))]);
    }

    [Fact]
    public void RefusesDamagedModels()
    {
        AssertRefused("the model ends inside field 1: the file is damaged or cut short", [.. Tag(1, 2), 100]);
        AssertRefused("the model ends inside field 1", [.. Tag(1, 2), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]);
        AssertRefused("the model has a number of more than ten bytes", [.. Enumerable.Repeat((byte)0xFF, 11)]);
        AssertRefused("the model has a field of number 0", [2, 0]);
        AssertRefused("the model has field 9 of wire type 3, which is not known", Tag(9, 3));
        AssertRefused("the model has field 1 of wire type 0; expected 2", Number(1, 1));
        AssertRefused("pieces[0].piece is empty", Message(1, []));
        AssertRefused("pieces[0].type is 9, which is not known", Message(1, [.. Text(1, "a"), .. Number(3, 9)]));
        AssertRefused("pieces[0].score is NaN", Message(1, [.. Text(1, "a"), .. Tag(2, 5), 0, 0, 0xC0, 0x7F]));
        AssertRefused("pieces[0] ends inside field 2", Message(1, [.. Text(1, "a"), .. Tag(2, 5), 0]));
    }

    [Fact]
    public void RefusesAModelCutShortAnywhere()
    {
        // What ends between two fields of the outermost message is no error of the format: the trainer's fields are missing then.
        for (var length = 0; length < Recorded.Length; length += 7) Assert.Throws<ModelFormatException>(() => Read(Recorded[..length]));
    }

    static byte[] Bpe => Number(3, 2);

    static byte[] ByteFallback => Number(35, 1);

    static byte[] KeepSpaces => Number(4, 0);

    static byte[] Trainer(params byte[][] fields) => Message(2, [.. fields.SelectMany(field => field)]);

    static byte[] Normalizer(params byte[][] fields) => Message(3, [.. fields.SelectMany(field => field)]);

    static byte[] Message(int field, byte[] content) => [.. Tag(field, 2), .. Varint(content.Length), .. content];

    static byte[] Text(int field, string text) => Message(field, Encoding.UTF8.GetBytes(text));

    static byte[] Number(int field, int value) => [.. Tag(field, 0), .. Varint(value)];

    static byte[] Tag(int field, int wireType) => Varint(field << 3 | wireType);

    static byte[] Varint(int value) => value < 0x80 ? [(byte)value] : [(byte)(value & 0x7F | 0x80), .. Varint(value >> 7)];

    static SentencePieceModel Read(byte[] bytes) => SentencePieceModel.Read(bytes, problem => new ModelFormatException(problem));

    static void AssertRefused(string problem, byte[] bytes) => Assert.StartsWith(problem, Assert.Throws<ModelFormatException>(() => Read(bytes)).Message);
}
