# SPDX-License-Identifier: MIT-0
# C simulation, synthesis, co-simulation and export of the accelerator.
#
#   Vivado HLS 2017.1 to 2020.1:   vivado_hls -f hls/run_hls.tcl
#   Vitis HLS 2020.2 to 2024.1:    vitis_hls -f hls/run_hls.tcl
#   Vitis 2024.2 and later:        vitis-run --mode hls --tcl hls/run_hls.tcl
#
# The newest tools pass no arguments to a script, so the environment does:
#   CODESIGN_HLS_STEPS  any of csim csynth cosim export, in this order; by default "csim csynth export"
#   CODESIGN_HLS_BUILD  folder to work in; by default build/hls beside the folder of this script
#   CODESIGN_HLS_TOOL   vivado_hls, vitis_hls or vitis_run, where the script guesses wrongly

set here [file normalize [file dirname [info script]]]
set root [file dirname $here]
source [file join $root settings.tcl]

proc setting {name default} {
  if {[info exists ::env($name)] && $::env($name) ne ""} {
    return $::env($name)
  }
  return $default
}

proc hls_tool {} {
  set known {vivado_hls vitis_hls vitis_run}
  set tool [setting CODESIGN_HLS_TOOL ""]
  if {$tool eq ""} {
    if {[string match *vivado_hls* [info nameofexecutable]]} {
      set tool vivado_hls
    } elseif {[llength [info commands open_component]]} {
      set tool vitis_run
    } else {
      set tool vitis_hls
    }
  }
  if {$tool ni $known} {
    error "CODESIGN_HLS_TOOL: expected one of $known, got '$tool'"
  }
  return $tool
}

proc checked_steps {} {
  set known {csim csynth cosim export}
  set steps [setting CODESIGN_HLS_STEPS "csim csynth export"]
  foreach step $steps {
    if {$step ni $known} {
      error "CODESIGN_HLS_STEPS: expected steps out of '$known', got '$step'"
    }
  }
  return $steps
}

# The clang of Vivado HLS is 3.1, which knows no newer standard than C++11.
proc add_sources {here} {
  set standard [expr {$::tool eq "vivado_hls" ? "c++11" : "c++14"}]
  set flags "-std=$standard -I[file join $here kernel]"
  add_files -cflags $flags [file join $here kernel top.cpp]
  add_files -tb -cflags $flags [file join $here tb tb.cpp]
}

# What differs between the tools: how a project is opened, and which settings exist.
proc open_vivado_hls {here} {
  open_project -reset accel
  set_top accel
  add_sources $here
  open_solution -reset solution1
}

proc open_vitis_hls {here} {
  open_project -reset accel
  set_top accel
  add_sources $here
  open_solution -reset solution1 -flow_target vivado
}

proc open_vitis_run {here} {
  open_component -reset accel -flow_target vivado
  set_top accel
  add_sources $here
}

# Tools up to 2021.2 make the core's revision from the date, which has not fitted 32 bits since 2022. They stop with
# "bad lexical cast" or "is an invalid argument". AMD's patch for it is answer record 76960. If the version has a third
# number, the tools take that as the revision, as users report.
proc export_version {tool} {
  return [expr {$tool eq "vitis_run" ? "1.0" : "1.0.1"}]
}

set tool [hls_tool]
set steps [checked_steps]
set build [setting CODESIGN_HLS_BUILD [file join $root build hls]]
file mkdir $build
cd $build
puts "codesign: tool $tool, steps $steps, folder $build"

open_$tool $here
set_part $accel(part)
create_clock -period $accel(period_ns) -name default
set_clock_uncertainty [format %.3f [expr {0.27 * $accel(period_ns)}]]
# Every loop states its pipelining; no tool adds any.
config_compile -pipeline_loops 0
config_rtl -reset control

set data [file join $here tb data]
foreach step $steps {
  switch $step {
    csim { csim_design -argv $data }
    csynth { csynth_design }
    cosim { cosim_design -rtl verilog -trace_level none -argv $data }
    export {
      export_design -rtl verilog -format ip_catalog -vendor codesign -library hls -version [export_version $tool]
    }
  }
}
exit 0
