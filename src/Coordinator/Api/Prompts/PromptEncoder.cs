using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Api.Prompts;

/// <summary>
/// Texts and conversations to token ids. Special tokens written in a text are recognised, those in a message's content too: like
/// llama.cpp and vLLM, the API treats whoever may send requests as the prompt's author. A service that puts strangers' text into messages
/// must take markers such as "&lt;|eot_id|&gt;" out of it first, or send token ids to /v1/completions.
/// </summary>
sealed class PromptEncoder(ServedModel model, TimeProvider time)
{
    public EncodedPrompt Encode(RawPrompt prompt, bool addSpecialTokens) => prompt.Text is { } text
        ? new EncodedPrompt(text, Tokenize(text, addSpecialTokens))
        : new EncodedPrompt(Detokenize(prompt.Ids), prompt.Ids);

    public ApiOutcome<EncodedPrompt> Encode(JsonArray messages, bool addGenerationPrompt, bool addSpecialTokens)
    {
        if (model.Template is null)
            return ApiError.Invalid("messages", $"The model '{model.Name}' has no chat template; use /v1/completions.");
        try
        {
            var text = model.Template.Render(new ChatTemplateInput
            {
                Messages = messages,
                AddGenerationPrompt = addGenerationPrompt,
                BosToken = model.BosText,
                EosToken = model.EosText,
                Now = time.GetLocalNow(),
            });
            return new EncodedPrompt(text, Tokenize(text, addSpecialTokens)); // the template writes bos itself
        }
        catch (ChatTemplateException refusal)
        {
            return ApiError.Invalid("messages", $"The model's chat template does not take these messages: {refusal.Reason}");
        }
    }

    public List<int> Tokenize(string text, bool addSpecialTokens)
    {
        var ids = new List<int>();
        model.Tokenizer.Encode(Encoding.UTF8.GetBytes(text), ids, addSpecialTokens, parseSpecial: true);
        return ids;
    }

    /// <summary>The ids' text, control tokens as they are written; bytes that are not UTF-8 become U+FFFD.</summary>
    public string Detokenize(IReadOnlyList<int> ids)
    {
        var bytes = new List<byte>();
        model.Tokenizer.Decode([.. ids], bytes, includeControl: true);
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }
}
