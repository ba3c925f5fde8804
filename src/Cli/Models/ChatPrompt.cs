using System.Text.Json.Nodes;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Cli.Models;

/// <summary>A conversation as a model's own template writes it.</summary>
static class ChatPrompt
{
    /// <exception cref="CommandFailedException">The model has no template, or the template refuses the conversation.</exception>
    public static string Render(ModelText text, string path, JsonArray messages, JsonArray? tools)
    {
        var template = text.Template ?? throw new CommandFailedException($"{path}: has no chat template; generate --raw takes a prompt as it stands");
        try
        {
            return template.Render(new ChatTemplateInput
            {
                Messages = messages,
                Tools = tools,
                BosToken = text.BosText ?? "",
                EosToken = text.EosText ?? "",
                Now = TimeProvider.System.GetLocalNow(),
            });
        }
        catch (ChatTemplateException refusal)
        {
            throw new CommandFailedException($"{path}: {refusal.Message}");
        }
    }

    /// <summary>The prompt of one question.</summary>
    public static string Render(ModelText text, string path, string question) =>
        Render(text, path, new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question }), tools: null);
}
