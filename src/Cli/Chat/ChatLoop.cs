using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Chat;

/// <summary>`chat`: a conversation in the terminal, over the HTTP API.</summary>
static class ChatCommand
{
    public static Command Create(TextReader input)
    {
        var url = UrlOption.Create("--url", "the API's address", otherwise: "http://127.0.0.1:8080");
        var command = new Command("chat", "Chat in the terminal. /reset begins anew, /exit ends; Ctrl-C stops an answer.") { url };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = new ChatClient(parsed.GetRequiredValue(url));
            return await new ChatLoop(client, input, parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error).RunAsync(cancellation);
        });
        return command;
    }
}

/// <summary>
/// Reads a line, prints the answer, and repeats. A question that failed is removed from the conversation; with piped input it ends the chat. Ctrl-C
/// stops the current answer, or the chat if there is none.
/// </summary>
sealed class ChatLoop(ChatClient client, TextReader input, TextWriter output, TextWriter error)
{
    const string Exit = "/exit";
    const string Reset = "/reset";

    readonly JsonArray _messages = [];
    readonly bool _watched = ReferenceEquals(input, Console.In) && !Console.IsInputRedirected;

    public async Task<int> RunAsync(CancellationToken cancellation)
    {
        var model = await client.ModelAsync(cancellation);
        if (_watched) error.WriteLine($"{model}. {Reset} begins anew, {Exit} ends.");
        while (ReadLine() is { } line)
        {
            switch (line.Trim())
            {
                case "":
                    break;
                case Exit:
                    return ExitCode.Done;
                case Reset:
                    _messages.Clear();
                    break;
                case ['/', ..] unknown when !unknown.Contains(' '):
                    error.WriteLine($"unknown command {unknown}; there are {Reset} and {Exit}");
                    break;
                default:
                    await AskAsync(model, line, cancellation);
                    break;
            }
        }
        return ExitCode.Done;
    }

    string? ReadLine()
    {
        if (_watched) error.Write("> ");
        return input.ReadLine();
    }

    async Task AskAsync(string model, string question, CancellationToken cancellation)
    {
        var known = _messages.Count;
        _messages.Add(Message("user", question));
        try
        {
            _messages.Add(Message("assistant", await PrintAnswerAsync(model, cancellation)));
        }
        catch (Exception failure) when (_watched && failure is CommandFailedException or IOException)
        {
            while (_messages.Count > known) _messages.RemoveAt(_messages.Count - 1);
            error.WriteLine($"error: {failure.Message}");
        }
    }

    /// <returns>The answer, or the part of it that came before Ctrl-C.</returns>
    async Task<string> PrintAnswerAsync(string model, CancellationToken cancellation)
    {
        var answer = new StringBuilder();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        ConsoleCancelEventHandler interrupt = (_, press) =>
        {
            press.Cancel = true;
            stop.Cancel();
        };
        Console.CancelKeyPress += interrupt;
        try
        {
            await foreach (var piece in client.AnswerAsync(model, _messages, stop.Token))
            {
                answer.Append(piece);
                output.Write(piece);
                output.Flush();
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            error.Write(" [stopped]");
        }
        finally
        {
            Console.CancelKeyPress -= interrupt;
            if (answer.Length > 0) output.WriteLine();
        }
        return answer.ToString();
    }

    static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}
