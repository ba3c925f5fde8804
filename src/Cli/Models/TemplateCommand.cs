using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Cli.Models;

/// <summary>`template`: prints the prompt that a model's chat template makes of a conversation.</summary>
static class TemplateCommand
{
    public static Command Create()
    {
        var model = ModelOption.Create();
        var messages = new Option<string>("--messages")
        {
            HelpName = "FILE.json",
            Description = "an array of messages, each with role and content",
            Required = true,
        };
        var tools = new Option<string?>("--tools") { HelpName = "FILE.json", Description = "an array of tools, as in the OpenAI API" };
        var command = new Command("template", "Print the chat prompt of a conversation, exactly. Needs only a model's tokenizer.")
        {
            model, HubOption.Create(), messages, tools,
        };
        command.SetAction(parsed =>
        {
            var path = ModelOption.PathOf(parsed, model);
            var text = ModelTextReader.Open(path);
            var given = parsed.GetValue(tools) is { } file ? ReadArray(file) : null;
            parsed.InvocationConfiguration.Output.Write(ChatPrompt.Render(text, path, ReadArray(parsed.GetRequiredValue(messages)), given));
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>A name that is there twice is an error at once, not when it is looked up.</summary>
    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    static JsonArray ReadArray(string file)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllBytes(file), documentOptions: Strict) as JsonArray
                ?? throw new CommandFailedException($"{file}: holds no JSON array");
        }
        catch (JsonException failure)
        {
            throw new CommandFailedException($"{file}: is not JSON: {failure.Message}");
        }
    }
}

/// <summary>Writes a conversation with a model's own template.</summary>
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
