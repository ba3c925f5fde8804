using System.Text.Json;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Tokenization;
using LlamaCluster.Text.Tokenization.Splitting;

namespace LlamaCluster.Model.Formats.HuggingFace.Tokenizers;

/// <summary>What tokenizer.json does to text before its tokens are looked for. Refuses, by name, what this program does not do.</summary>
readonly record struct TextRules(TokenSpelling Spelling, SpaceRules Spaces)
{
    const string SpaceMark = "\u2581";

    static readonly string[] Decoders = ["ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"];

    public static TextRules Read(JsonFields tokenizer)
    {
        RefuseOtherDecoders(tokenizer);
        var normalizers = PipelineParts.Of(tokenizer, "normalizer", "normalizers");
        var splits = PipelineParts.Of(tokenizer, "pre_tokenizer", "pretokenizers");
        if (splits.Count == 0) return Normalized(normalizers);
        if (normalizers.Count > 0) throw PipelineParts.Unsupported(normalizers[0]);
        return splits[0].GetString("type") switch
        {
            "Split" => ByteLevel(splits),
            "Metaspace" when splits.Count == 1 => Metaspace(splits[0]),
            _ => throw PipelineParts.Unsupported(splits[0]),
        };
    }

    // Llama 1 and 2: a space is put in front, all spaces are marked, nothing is split.
    static TextRules Normalized(List<JsonFields> normalizers)
    {
        var (marks, prepends) = (false, false);
        foreach (var normalizer in normalizers)
        {
            switch (normalizer.GetString("type"))
            {
                case "Prepend":
                    Require(normalizer, "prepend", SpaceMark);
                    prepends = true;
                    break;
                case "Replace":
                    RequirePattern(normalizer, "String", " ");
                    Require(normalizer, "content", SpaceMark);
                    marks = true;
                    break;
                default:
                    throw PipelineParts.Unsupported(normalizer);
            }
        }
        if (prepends && !marks) throw tokenizerWithoutMarks(normalizers[0]);
        return new TextRules(marks ? TokenSpelling.SentencePiece : TokenSpelling.Plain, new SpaceRules(prepends ? SpacePrefix.EachSegment : SpacePrefix.Never));

        static ModelFormatException tokenizerWithoutMarks(JsonFields prepend) =>
            prepend.Error("type", "is 'Prepend' without a 'Replace' for spaces, which is not supported");
    }

    static TextRules Metaspace(JsonFields metaspace)
    {
        Require(metaspace, "replacement", SpaceMark);
        var scheme = metaspace.FindString("prepend_scheme") ?? (metaspace.FindBoolean("add_prefix_space") is false ? "never" : "always");
        var prefix = scheme switch
        {
            "always" => SpacePrefix.EachSegment,
            "first" => SpacePrefix.TextStart,
            "never" => SpacePrefix.Never,
            _ => throw metaspace.Error("prepend_scheme", $"is {ErrorText.Quote(scheme)}, which is not supported; 'always', 'first' and 'never' are"),
        };
        return new TextRules(TokenSpelling.SentencePiece, new SpaceRules(prefix, PrefixIfAbsent: true, SplitsWords: metaspace.FindBoolean("split") ?? true));
    }

    static TextRules ByteLevel(List<JsonFields> splits)
    {
        var split = splits[0];
        RequirePattern(split, "Regex", Llama3Splitter.Expression);
        Require(split, "behavior", "Isolated");
        RequireFalse(split, "invert");
        if (splits.Count != 2 || splits[1].GetString("type") != "ByteLevel")
            throw split.Error("type", "is 'Split'; it is supported only before one 'ByteLevel'");
        RequireFalse(splits[1], "add_prefix_space");
        RequireFalse(splits[1], "use_regex");
        return new TextRules(TokenSpelling.ByteLevel, default);
    }

    static void RefuseOtherDecoders(JsonFields tokenizer)
    {
        foreach (var decoder in PipelineParts.Of(tokenizer, "decoder", "decoders"))
            if (!Decoders.Contains(decoder.GetString("type"))) throw PipelineParts.Unsupported(decoder);
    }

    static void RequirePattern(JsonFields part, string kind, string expected)
    {
        if (part.KindOf("pattern") is not JsonValueKind.Object) throw part.Error("pattern", $"is not an object with '{kind}'");
        Require(part.GetObject("pattern"), kind, expected);
    }

    static void Require(JsonFields part, string field, string expected)
    {
        if (part.GetString(field) is var value && value != expected)
            throw part.Error(field, $"is {ErrorText.Quote(value)}, which is not supported; {ErrorText.Quote(expected)} is");
    }

    // Absent means true.
    static void RequireFalse(JsonFields part, string field)
    {
        if (part.FindBoolean(field) is not false) throw part.Error(field, "is not false, which is not supported");
    }
}
