using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>text_completion: a stream's chunks look like the whole response.</summary>
sealed class CompletionForm(CompletionLogprobs logprobs) : IResponseForm
{
    public string IdPrefix => "cmpl-";

    public string WholeObject => "text_completion";

    public string ChunkObject => "text_completion";

    public bool OpensStreams => false;

    public void WriteOpening(Utf8JsonWriter json) => WriteWhole(json, "", [], scored: false);

    public void WriteDelta(Utf8JsonWriter json, string text, IReadOnlyList<TokenScore> scores, bool scored)
        => WriteWhole(json, text, scores, scored && scores.Count > 0);

    public void WriteWhole(Utf8JsonWriter json, string text, IReadOnlyList<TokenScore> scores, bool scored)
    {
        json.WriteString("text", text);
        logprobs.Write(json, scores, scored);
    }
}
