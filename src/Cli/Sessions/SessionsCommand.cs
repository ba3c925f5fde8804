using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Sessions;

/// <summary>`sessions`: lists, shows, exports, imports and deletes the sessions of a running cluster, over the HTTP API.</summary>
static class SessionsCommand
{
    static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static Command Create()
    {
        var url = UrlOption.Create("--url", "the API's address", otherwise: "http://127.0.0.1:8080");
        url.Recursive = true;
        return new Command("sessions", "List, show, export, import and delete the sessions of a running cluster.")
        {
            url, List(url), Show(url), Export(url), Import(url), Delete(url),
        };
    }

    static Command List(Option<Uri> url)
    {
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var limit = new Option<int>("--limit") { HelpName = "N", Description = "at most so many, the newest first", DefaultValueFactory = _ => 100 };
        var command = new Command("list", "List sessions, the newest first.") { json, limit };
        command.SetAction(async (parsed, cancellation) =>
        {
            var most = NumberOption.Check("--limit", parsed.GetValue(limit), 1, int.MaxValue);
            using var client = new SessionsClient(parsed.GetRequiredValue(url));
            var sessions = await client.ListAsync(most, cancellation);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                output.WriteLine(new JsonObject { ["sessions"] = new JsonArray([.. sessions.Select(session => session.DeepClone())]) }.ToJsonString());
            else
                SessionReport.WriteList(output, sessions);
            return ExitCode.Done;
        });
        return command;
    }

    static Command Show(Option<Uri> url)
    {
        var id = IdArgument();
        var command = new Command("show", "Print a session's conversation.") { id };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = new SessionsClient(parsed.GetRequiredValue(url));
            var session = parsed.GetRequiredValue(id);
            SessionReport.WriteConversation(
                parsed.InvocationConfiguration.Output, await client.FindAsync(session, cancellation), await client.ExportAsync(session, cancellation));
            return ExitCode.Done;
        });
        return command;
    }

    static Command Export(Option<Uri> url)
    {
        var (id, file) = (IdArgument(), new Option<string?>("--output") { HelpName = "FILE", Description = "the file to write; without it stdout" });
        var command = new Command("export", "Write a session as JSON, which `sessions import` reads.") { id, file };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = new SessionsClient(parsed.GetRequiredValue(url));
            var text = (await client.ExportAsync(parsed.GetRequiredValue(id), cancellation)).ToJsonString(Indented);
            if (parsed.GetValue(file) is { } path) await File.WriteAllTextAsync(path, text + Environment.NewLine, cancellation);
            else parsed.InvocationConfiguration.Output.WriteLine(text);
            return ExitCode.Done;
        });
        return command;
    }

    static Command Import(Option<Uri> url)
    {
        var file = new Argument<string>("file") { HelpName = "FILE", Description = "what `sessions export` wrote" };
        var command = new Command("import", "Make a session of an exported one; print its id.") { file };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = new SessionsClient(parsed.GetRequiredValue(url));
            var exported = await File.ReadAllTextAsync(parsed.GetRequiredValue(file), cancellation);
            parsed.InvocationConfiguration.Output.WriteLine(await client.ImportAsync(exported, cancellation));
            return ExitCode.Done;
        });
        return command;
    }

    static Command Delete(Option<Uri> url)
    {
        var ids = new Argument<string[]>("id") { HelpName = "ID", Description = "sessions, as `sessions list` names them", Arity = ArgumentArity.OneOrMore };
        var command = new Command("delete", "Delete sessions.") { ids };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = new SessionsClient(parsed.GetRequiredValue(url));
            foreach (var id in parsed.GetRequiredValue(ids)) await client.DeleteAsync(id, cancellation);
            return ExitCode.Done;
        });
        return command;
    }

    static Argument<string> IdArgument() => new("id") { HelpName = "ID", Description = "a session, as `sessions list` names it" };
}
