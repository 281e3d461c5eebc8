# Stand-ins for the vendors' tools: `tclsh vendor_tools.tcl TOOL SCRIPT` runs the script with the commands of that tool
# and no others. Each call is written to standard output, its words apart by the character 1f.

set tool [lindex $argv 0]
set script [lindex $argv 1]

proc note {words} {
  puts [join $words "\x1f"]
}

# A command that notes itself and returns what `result` computes from its arguments.
proc stand_in {name {result {}}} {
  namespace eval [expr {[string match *::* $name] ? [namespace qualifiers $name] : "::"}] {}
  proc ::$name args "note \[concat [list $name] \$args\]\n$result"
}

set hls_commands {set_top add_files set_part create_clock set_clock_uncertainty config_compile config_rtl csim_design
  csynth_design cosim_design export_design}

set vivado_commands {create_project close_project add_files set_property update_compile_order update_ip_catalog
  create_bd_design apply_bd_automation connect_bd_intf_net connect_bd_net assign_bd_address validate_bd_design
  save_bd_design wait_on_run open_run report_utilization report_timing_summary current_project current_fileset
  ipx::package_project ipx::associate_bus_interfaces ipx::create_xgui_files ipx::update_checksums ipx::check_integrity
  ipx::save_core package_xo}

proc last_argument {args} {
  return [lindex $args end]
}

proc vivado {} {
  foreach name $::vivado_commands {
    stand_in $name
  }
  foreach name {get_runs get_files get_bd_cells get_bd_pins get_timing_paths} {
    stand_in $name {return [lindex $args end]}
  }
  stand_in get_bd_intf_pins {
    if {[lindex $args 0] ne "-of_objects"} { return [lindex $args end] }
    regexp {MODE == (\w+) && VLNV =~ \*:(\w+):} [lindex $args end] -> mode protocol
    return accel_0/$mode-$protocol
  }
  stand_in get_ipdefs {return [list [string map {* 1.9} [lindex $args end]] [string map {* 1.10} [lindex $args end]]]}
  stand_in create_bd_cell {return [lindex $args end]}
  stand_in make_wrapper {return accel_bd_wrapper.v}
  stand_in get_property {
    switch [lindex $args 0] {
      PROGRESS { return $::env(FAKE_PROGRESS) }
      STATUS { return "route_design ERROR" }
      SLACK { return $::env(FAKE_SLACK) }
    }
  }
  stand_in launch_runs {
    foreach {folder file} {design.runs/impl_1 accel_bd_wrapper.bit design.gen/sources_1/bd/accel_bd/hw_handoff accel_bd.hwh} {
      file mkdir [file join $::project $folder]
      close [open [file join $::project $folder $file] w]
    }
  }
  stand_in ipx::current_core {return core}
  stand_in ipx::get_bus_interfaces {return [expr {[info exists ::env(FAKE_NO_BUS)] ? "" : [lindex $args 0]}]}
  foreach name {get_memory_maps add_memory_map get_address_blocks add_address_block add_register} {
    stand_in ipx::$name {return [expr {[info exists ::env(FAKE_NO_MAP)] && [string match *get_* [lindex [info level 0] 0]] ? "" : "x"}]}
  }
}

proc hls {commands} {
  foreach name [concat $::hls_commands $commands] {
    stand_in $name
  }
}

switch $tool {
  vivado { vivado }
  vivado_hls {
    hls {open_project open_solution}
    # The tool is recognised by its program's name.
    rename info tcl_info
    proc info args {
      if {[lindex $args 0] eq "nameofexecutable"} { return /opt/tool/vivado_hls }
      return [uplevel 1 [list tcl_info {*}$args]]
    }
  }
  vitis_hls { hls {open_project open_solution} }
  vitis_run { hls {open_component open_project open_solution} }
}

info script $script
if {[catch {source $script} message]} {
  puts stderr $message
  exit 1
}
