using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>The object text_completion; a stream's chunks look like the whole response.</summary>
sealed class CompletionForm(ITokenizer tokenizer) : IResponseForm
{
    public string IdPrefix => "cmpl-";

    public string WholeObject => "text_completion";

    public string ChunkObject => "text_completion";

    public bool OpensStreams => false;

    public void WriteOpening(Utf8JsonWriter json) => Write(json, "", [], scored: false);

    public void WriteDelta(Utf8JsonWriter json, AnswerPiece? piece, IReadOnlyList<TokenScore> scores, bool scored)
        => Write(json, piece is AnswerPiece.Text text ? text.Words : "", scores, scored && scores.Count > 0);

    public void WriteWhole(Utf8JsonWriter json, WholeChoice choice, bool scored) => Write(json, choice.Text, choice.Scores, scored);

    void Write(Utf8JsonWriter json, string text, IReadOnlyList<TokenScore> scores, bool scored)
    {
        json.WriteString("text", text);
        WriteLogprobs(json, scores, scored);
    }

    /// <summary>
    /// {"tokens":[],"token_logprobs":[],"top_logprobs":[{text:logprob}],"text_offset":[]}, one element per token. The chosen token is always
    /// among the top ones. Of tokens that read the same, the most probable one counts.
    /// </summary>
    void WriteLogprobs(Utf8JsonWriter json, IReadOnlyList<TokenScore> scores, bool scored)
    {
        if (!scored)
        {
            json.WriteNull("logprobs");
            return;
        }
        json.WriteStartObject("logprobs");
        json.WriteStartArray("tokens");
        foreach (var score in scores) json.WriteStringValue(TextOf(score.Token.Id));
        json.WriteEndArray();
        json.WriteStartArray("token_logprobs");
        foreach (var score in scores) WriteLogprob(json, score);
        json.WriteEndArray();
        json.WriteStartArray("top_logprobs");
        foreach (var score in scores) WriteTop(json, score);
        json.WriteEndArray();
        json.WriteStartArray("text_offset");
        foreach (var score in scores) json.WriteNumberValue(score.Offset);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    static void WriteLogprob(Utf8JsonWriter json, TokenScore score)
    {
        if (score.Known) json.WriteNumberValue(Logprob.Finite(score.Token.Logprob));
        else json.WriteNullValue();
    }

    void WriteTop(Utf8JsonWriter json, TokenScore score)
    {
        if (!score.Known)
        {
            json.WriteNullValue();
            return;
        }
        json.WriteStartObject();
        var written = new HashSet<string>();
        foreach (var (id, logprob) in score.Token.Top.Append(new TokenLogprob(score.Token.Id, score.Token.Logprob)))
            if (written.Add(TextOf(id))) json.WriteNumber(TextOf(id), Logprob.Finite(logprob));
        json.WriteEndObject();
    }

    string TextOf(int id) => Encoding.UTF8.GetString(tokenizer.BytesOf(id).Span);
}
