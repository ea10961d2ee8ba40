#include "ui/views/actions.h"

#include "ui/views/theme.h"

#include <QCoreApplication>
#include <QWidget>

#include <span>

namespace batchscope::views {

namespace {

struct ActionSpec {
  const char* id;
  const char* text;
  const char* tip;
  const char* shortcut;
  const char* icon;
  bool checkable = false;
};

#define BS_TR(text) QT_TRANSLATE_NOOP("batchscope::views::Actions", text)

constexpr ActionSpec kActions[] = {
    {"new_run",
     BS_TR("&New run…"),
     BS_TR("Choose a recipe and start a training"),
     "Ctrl+N",
     "new_run"},
    {"new_from",
     BS_TR("New from this run…"),
     BS_TR("Start a training with the settings of the open run"),
     "Ctrl+Shift+N",
     ""},
    {"open", BS_TR("&Open run…"), BS_TR("Open a .bscope file"), "Ctrl+O", "open"},
    {"open_folder", BS_TR("Open run folder…"), BS_TR("Open the folder of a run"), "", "folder"},
    {"open_library",
     BS_TR("Open library…"),
     BS_TR("Show the runs of another library folder"),
     "Ctrl+Shift+O",
     "folder"},
    {"open_demo",
     BS_TR("Open demo run"),
     BS_TR("Open the recorded run that comes with the program"),
     "",
     "demo"},
    {"export_page",
     BS_TR("&Export page as image…"),
     BS_TR("Save the page as a PNG picture"),
     "Ctrl+E",
     "export"},
    {"copy_command",
     BS_TR("Copy as command"),
     BS_TR("Copy the command line that repeats the open run"),
     "Ctrl+Shift+C",
     "console"},
    {"close_run",
     BS_TR("Close run"),
     BS_TR("Leave the run; a training goes on"),
     "Ctrl+W",
     "close"},
    {"quit",
     BS_TR("&Quit"),
     BS_TR("Close the window; trainings go on unless you say otherwise"),
     "Ctrl+Q",
     ""},
    {"undo_view", BS_TR("Undo view"), BS_TR("Back to the zoom before"), "Ctrl+Z", ""},
    {"redo_view",
     BS_TR("Redo view"),
     BS_TR("Forward to the zoom that was undone"),
     "Ctrl+Shift+Z",
     ""},
    {"filter",
     BS_TR("&Find a run…"),
     BS_TR("Put the cursor into the filter of the run list"),
     "Ctrl+F",
     "search"},
    {"palette", BS_TR("Command palette…"), BS_TR("Search all commands"), "Ctrl+K", "command"},
    {"choose_engine",
     BS_TR("Engine location…"),
     BS_TR("Choose the batchscope-engine program that trains"),
     "",
     "engine"},
    {"ask_closing",
     BS_TR("Ask again on closing"),
     BS_TR("Forget the remembered answer to what becomes of trainings when the window closes"),
     "",
     ""},
    {"resume", BS_TR("&Resume"), BS_TR("Go on after a pause"), "Ctrl+R", "resume"},
    {"pause",
     BS_TR("&Pause"),
     BS_TR("Hold the training at the next step; it keeps its devices"),
     "Ctrl+P",
     "pause"},
    {"stop_save",
     BS_TR("&Stop and save"),
     BS_TR("End the training after a checkpoint"),
     "Ctrl+.",
     "stop"},
    {"stop_now",
     BS_TR("Stop now"),
     BS_TR("End the training without a checkpoint"),
     "Ctrl+Shift+.",
     "stop_now"},
    {"checkpoint",
     BS_TR("Save checkpoint"),
     BS_TR("Save the state of the training at the next step"),
     "Ctrl+S",
     "checkpoint"},
    {"continue_run",
     BS_TR("Continue this run"),
     BS_TR("Start the engine again from the last checkpoint of an ended run"),
     "Ctrl+Shift+R",
     "refresh"},
    {"fork",
     BS_TR("&Fork from here…"),
     BS_TR("Start runs that go on from the playhead with other optimizers"),
     "F",
     "fork"},
    {"fan",
     BS_TR("Learning-rate f&an…"),
     BS_TR("Try learning rates and optimizers in short probes from here"),
     "",
     "fan"},
    {"switch_optimizer",
     BS_TR("Switch &optimizer"),
     BS_TR("Go to the optimizer panel"),
     "Ctrl+T",
     "optimizer"},
    {"toggle_agvm",
     BS_TR("Toggle AGVM"),
     BS_TR("Prepare switching AGVM on or off in the optimizer panel"),
     "Ctrl+G",
     "variance"},
    {"lr_half",
     BS_TR("Learning rate × ½"),
     BS_TR("Halve the base learning rate at the next step"),
     "Ctrl+Shift+H",
     "lr_half"},
    {"lr_double",
     BS_TR("Learning rate × 2"),
     BS_TR("Double the base learning rate at the next step"),
     "Ctrl+Shift+T",
     "lr_double"},
    {"accumulation",
     BS_TR("Accumulation…"),
     BS_TR("Change the micro-batches per step, and so the effective batch"),
     "",
     "accumulation"},
    {"end_step",
     BS_TR("End of run…"),
     BS_TR("Change the step at which the training ends"),
     "",
     "end"},
    {"undo_change",
     BS_TR("&Undo last change"),
     BS_TR("Back to the restore point before the last change (asks)"),
     "Ctrl+Alt+Z",
     "undo"},
    {"page_overview",
     BS_TR("Overview"),
     BS_TR("Losses, learning rate, speed, AP"),
     "Ctrl+1",
     "overview"},
    {"page_variance",
     BS_TR("Variance"),
     BS_TR("Noise fraction and scale per module, AGVM factors"),
     "Ctrl+2",
     "variance"},
    {"page_moments", BS_TR("Moments"), BS_TR("Moment decay, betas, norms"), "Ctrl+3", "moments"},
    {"page_samples",
     BS_TR("Samples"),
     BS_TR("Fixed pictures with truth and predictions"),
     "Ctrl+4",
     "samples"},
    {"page_compare",
     BS_TR("Compare"),
     BS_TR("Two to eight runs over one another"),
     "Ctrl+5",
     "compare"},
    {"full_screen",
     BS_TR("Full screen"),
     BS_TR("The window without its frame"),
     "F11",
     "fullscreen",
     true},
    {"theme_system", BS_TR("System"), BS_TR("Colours as the desktop has them"), "", "", true},
    {"theme_light", BS_TR("Light"), BS_TR("Dark on light"), "", "", true},
    {"theme_dark", BS_TR("Dark"), BS_TR("Light on dark"), "", "", true},
    {"text_larger", BS_TR("Larger text"), BS_TR("Text one step larger, up to 200 %"), "Ctrl++", ""},
    {"text_smaller",
     BS_TR("Smaller text"),
     BS_TR("Text one step smaller, down to 80 %"),
     "Ctrl+-",
     ""},
    {"reset_layout",
     BS_TR("Reset layout"),
     BS_TR("Docks where they were at the first start"),
     "",
     ""},
    {"next_pane", BS_TR("Next pane"), BS_TR("Move the focus to the next dock or page"), "F6", ""},
    {"previous_pane",
     BS_TR("Previous pane"),
     BS_TR("Move the focus to the dock or page before"),
     "Shift+F6",
     ""},
    {"chart_zoom_in", BS_TR("Zoom in"), BS_TR("Halve the range of the chart"), "+", "zoom_in"},
    {"chart_zoom_out", BS_TR("Zoom out"), BS_TR("Double the range of the chart"), "-", "zoom_out"},
    {"chart_fit", BS_TR("Show everything"), BS_TR("The whole range of the chart"), "0", "fit"},
    {"chart_log",
     BS_TR("Logarithmic values"),
     BS_TR("Values on a logarithmic scale; values ≤ 0 are counted"),
     "L",
     "log"},
    {"chart_table", BS_TR("Show as table"), BS_TR("The samples in view as a table"), "T", "table"},
    {"chart_image",
     BS_TR("Copy chart as image"),
     BS_TR("The focused chart as a picture on the clipboard"),
     "Ctrl+Shift+I",
     "image"},
    {"chart_csv",
     BS_TR("Copy data as CSV"),
     BS_TR("The samples in view on the clipboard"),
     "Ctrl+Shift+D",
     "copy"},
    {"cursor_right", BS_TR("Cross-hair right"), BS_TR("Next sample"), "Right", ""},
    {"cursor_left", BS_TR("Cross-hair left"), BS_TR("Sample before"), "Left", ""},
    {"cursor_right_ten", BS_TR("Cross-hair ten right"), BS_TR("Ten samples on"), "Shift+Right", ""},
    {"cursor_left_ten", BS_TR("Cross-hair ten left"), BS_TR("Ten samples back"), "Shift+Left", ""},
    {"cursor_next_event",
     BS_TR("Cross-hair to next event"),
     BS_TR("Next event mark"),
     "Ctrl+Right",
     ""},
    {"cursor_previous_event",
     BS_TR("Cross-hair to event before"),
     BS_TR("Event mark before"),
     "Ctrl+Left",
     ""},
    {"series_next", BS_TR("Next series"), BS_TR("Strengthen the next curve"), "Down", ""},
    {"series_previous", BS_TR("Series before"), BS_TR("Strengthen the curve before"), "Up", ""},
    {"next_nonfinite",
     BS_TR("Next non-finite point"),
     BS_TR("Cross-hair to the next NaN or infinity"),
     "N",
     ""},
    {"cycle_x", BS_TR("Cycle x axis"), BS_TR("Steps, pictures, training time"), "X", ""},
    {"smooth", BS_TR("Smoothing"), BS_TR("Put the focus on the smoothing slider"), "S", ""},
    {"replay_toggle",
     BS_TR("Play or pause the replay"),
     BS_TR("Move the playhead along the recorded time"),
     "Space",
     "play"},
    {"replay_next_event",
     BS_TR("Next event"),
     BS_TR("Playhead to the next event"),
     "Ctrl+PgDown",
     "step_forward"},
    {"replay_previous_event",
     BS_TR("Previous event"),
     BS_TR("Playhead to the event before"),
     "Ctrl+PgUp",
     "step_back"},
    {"replay_step_forward",
     BS_TR("Step forward"),
     BS_TR("Playhead one step on"),
     "Ctrl+Shift+Right",
     ""},
    {"replay_step_back",
     BS_TR("Step back"),
     BS_TR("Playhead one step back"),
     "Ctrl+Shift+Left",
     ""},
    {"follow_live",
     BS_TR("Follow live"),
     BS_TR("Playhead to the newest step, and along with it"),
     "Ctrl+L",
     "live"},
    {"compare_add",
     BS_TR("&Add to compare"),
     BS_TR("Lay the open run over others"),
     "C",
     "compare"},
    {"compare_baseline",
     BS_TR("Set as baseline"),
     BS_TR("The open run becomes the first of the comparison"),
     "",
     ""},
    {"compare_clear",
     BS_TR("Clear the comparison"),
     BS_TR("Take all runs out of the comparison"),
     "",
     ""},
    {"shortcuts", BS_TR("Shortcuts"), BS_TR("All commands with their keys"), "?", "help"},
    {"diagnose",
     BS_TR("Diagnose"),
     BS_TR("Versions and places, to copy into a report"),
     "",
     "info"},
    {"about", BS_TR("About Batchscope"), BS_TR("Version and licence"), "", "info"},
};

#undef BS_TR

QString translated(const char* text) {
  return QCoreApplication::translate("batchscope::views::Actions", text);
}

void sayTip(QAction* action, const QString& tip) {
  const auto keys = action->property("keys").value<QKeySequence>();
  action->setStatusTip(tip);
  action->setToolTip(
      keys.isEmpty() ? tip
                     : QStringLiteral("%1 (%2)").arg(tip, keys.toString(QKeySequence::NativeText)));
}

}  // namespace

Actions::Actions(QWidget* window) : QObject(window) {
  for (const ActionSpec& spec : std::span(kActions)) {
    auto* action = new QAction(translated(spec.text), window);
    const QString id = QLatin1String(spec.id);
    action->setObjectName(id);
    if (*spec.icon != '\0') {
      action->setIcon(icon(QLatin1String(spec.icon)));
    }
    const QKeySequence keys(QLatin1String(spec.shortcut));
    action->setShortcut(keys);
    action->setProperty("keys", QVariant::fromValue(keys));
    action->setProperty("tip", translated(spec.tip));
    sayTip(action, translated(spec.tip));
    action->setCheckable(spec.checkable);
    window->addAction(action);
    all_.append(action);
    byId_.insert(id, action);
  }
}

QAction* Actions::get(const QString& id) const {
  QAction* action = byId_.value(id);
  Q_ASSERT(action != nullptr);
  return action;
}

void Actions::setReason(const char* id, const QString& reason) {
  QAction* action = get(QLatin1String(id));
  sayTip(action, reason.isEmpty() ? action->property("tip").toString() : reason);
}

void Actions::setChartFocus(bool chart, bool keys) {
  for (const char* id : {"chart_zoom_in",
                         "chart_zoom_out",
                         "chart_fit",
                         "chart_log",
                         "chart_table",
                         "chart_image",
                         "chart_csv",
                         "cursor_right",
                         "cursor_left",
                         "cursor_right_ten",
                         "cursor_left_ten",
                         "cursor_next_event",
                         "cursor_previous_event",
                         "series_next",
                         "series_previous",
                         "next_nonfinite"}) {
    get(QLatin1String(id))->setEnabled(chart);
  }
  for (const char* id : {"chart_zoom_in",
                         "chart_zoom_out",
                         "chart_fit",
                         "chart_log",
                         "chart_table",
                         "cursor_right",
                         "cursor_left",
                         "cursor_right_ten",
                         "cursor_left_ten",
                         "cursor_next_event",
                         "cursor_previous_event",
                         "series_next",
                         "series_previous",
                         "next_nonfinite",
                         "cycle_x",
                         "smooth",
                         "compare_add",
                         "fork",
                         "replay_toggle"}) {
    QAction* action = get(QLatin1String(id));
    action->setShortcut(keys ? action->property("keys").value<QKeySequence>() : QKeySequence());
  }
}

}  // namespace batchscope::views
