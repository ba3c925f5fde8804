using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Model.Formats.HuggingFace.Tokenizers;

/// <summary>What tokenizer.json's post_processor puts round a text.</summary>
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
