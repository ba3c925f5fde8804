using System.CommandLine;
using LlamaCluster.Cli.Chat;

namespace LlamaCluster.Cli.Commands;

/// <summary>`chat`: a conversation in the terminal, over the HTTP API.</summary>
static class ChatCommand
{
    public static Command Create(TextReader input)
    {
        var url = UrlOption.Create("--url", "the API's address", otherwise: "http://127.0.0.1:8080");
        var session = new Option<string?>("--session") { HelpName = "ID", Description = "the name of a conversation that the cluster keeps" };
        var command = new Command("chat", "Chat in the terminal. /reset begins anew, /exit ends; Ctrl-C stops an answer.") { url, session };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = new ChatClient(parsed.GetRequiredValue(url), parsed.GetValue(session));
            return await new ChatLoop(client, input, parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error).RunAsync(cancellation);
        });
        return command;
    }
}
