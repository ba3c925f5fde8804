using System.Text.Json;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Tokenization;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>What tokenizer.json does to text before tokens are searched for. Anything that this program does not support is refused by name.</summary>
readonly record struct TextRules(TokenSpelling Spelling, SpaceRules Spaces, PieceRules Pieces = PieceRules.Llama3)
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
        var pieces = HasExpression(split, Llama4Splitter.Expression) ? PieceRules.Llama4
            : HasExpression(split, Llama4Splitter.TekkenExpression) ? PieceRules.Tekken
            : PieceRules.Llama3;
        if (pieces is PieceRules.Llama3) RequirePattern(split, "Regex", Llama3Splitter.Expression);
        Require(split, "behavior", "Isolated");
        RequireFalse(split, "invert");
        if (splits.Count != 2 || splits[1].GetString("type") != "ByteLevel")
            throw split.Error("type", "is 'Split'; it is supported only before one 'ByteLevel'");
        RequireFalse(splits[1], "add_prefix_space");
        RequireFalse(splits[1], "use_regex");
        return new TextRules(TokenSpelling.ByteLevel, default, pieces);
    }

    static bool HasExpression(JsonFields split, string expression) =>
        split.KindOf("pattern") is JsonValueKind.Object && split.GetObject("pattern").FindString("Regex") == expression;

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

/// <summary>The ids that tokenizer.json's post_processor puts before and after a text.</summary>
readonly record struct PostProcessorRules(int[] Before, int[] After)
{
    public static PostProcessorRules Read(JsonFields tokenizer, TokenSet tokens)
    {
        var rules = new PostProcessorRules([], []);
        foreach (var processor in PipelineParts.Of(tokenizer, "post_processor", "processors"))
        {
            rules = processor.GetString("type") switch
            {
                "ByteLevel" => rules, // changes only offsets
                "TemplateProcessing" => ReadTemplate(processor, tokens),
                _ => throw PipelineParts.Unsupported(processor),
            };
        }
        return rules;
    }

    static PostProcessorRules ReadTemplate(JsonFields processor, TokenSet tokens)
    {
        List<int> before = [], after = [];
        var textSeen = false;
        foreach (var part in processor.FindObjects("single") ?? [])
        {
            if (part.FindObject("SpecialToken") is { } special) (textSeen ? after : before).AddRange(IdsOf(processor, special.GetString("id"), tokens));
            else if (part.GetObject("Sequence").GetString("id") != "A" || textSeen) throw part.Error("Sequence", "is not the only one, 'A'");
            else textSeen = true;
        }
        return textSeen ? new PostProcessorRules([.. before], [.. after]) : throw processor.Error("single", "has no Sequence");
    }

    static int[] IdsOf(JsonFields processor, string name, TokenSet tokens)
    {
        var special = processor.GetObject("special_tokens").GetObject(name);
        var ids = special.FindInt32s("ids") ?? [];
        foreach (var id in ids)
            if (tokens.Vocabulary.KindOf(id) is TokenKind.None) throw special.Error("ids", $"has {id}, which is the id of no token");
        return ids;
    }
}

/// <summary>The parts of one stage of tokenizer.json's pipeline (normalizer, pre_tokenizer, post_processor, decoder), in their order.</summary>
static class PipelineParts
{
    /// <summary>
    /// The parts of a stage, including those inside sequences such as <c>{"type": "Sequence", "normalizers": [...]}</c>. There are none if
    /// the stage is null.
    /// </summary>
    /// <param name="stage">The field's name.</param>
    /// <param name="list">The name of the list inside a sequence of this stage.</param>
    public static List<JsonFields> Of(JsonFields tokenizer, string stage, string list)
    {
        List<JsonFields> parts = [];
        if (tokenizer.FindObject(stage) is { } first) Add(first);
        return parts;

        void Add(JsonFields part)
        {
            if (part.GetString("type") != "Sequence") parts.Add(part);
            else foreach (var inner in part.FindObjects(list) ?? []) Add(inner);
        }
    }

    public static ModelFormatException Unsupported(JsonFields part) =>
        part.Error("type", $"is {ErrorText.Quote(part.GetString("type"))}, which is not supported here");
}
