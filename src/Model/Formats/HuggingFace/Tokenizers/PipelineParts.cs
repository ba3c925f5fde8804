using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace.Tokenizers;

/// <summary>The parts of one stage of tokenizer.json's pipeline (normalizer, pre_tokenizer, post_processor, decoder), in their order.</summary>
static class PipelineParts
{
    /// <summary>Looks into sequences: <c>{"type": "Sequence", "normalizers": [...]}</c>. None where the stage is null.</summary>
    /// <param name="stage">The field's name.</param>
    /// <param name="list">The name that a sequence of this stage has for its list.</param>
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
